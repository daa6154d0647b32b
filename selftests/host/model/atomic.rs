// SPDX-License-Identifier: GPL-2.0

//! The kernel's atomics.

use core::{marker::PhantomData, mem::ManuallyDrop};

use checker::loom::sync::atomic::{self, AtomicUsize, Ordering};

/// An order of memory accesses.
pub trait Order {
    const FULL: bool = false;
    const LOAD: Ordering = Ordering::Relaxed;
    const STORE: Ordering = Ordering::Relaxed;
    const BOTH: Ordering = Ordering::Relaxed;
}

/// None.
pub struct Relaxed;
impl Order for Relaxed {}

/// Nothing that follows is done before.
pub struct Acquire;
impl Order for Acquire {
    const LOAD: Ordering = Ordering::Acquire;
    const BOTH: Ordering = Ordering::Acquire;
}

/// Nothing that precedes is done after.
pub struct Release;
impl Order for Release {
    const STORE: Ordering = Ordering::Release;
}

/// A full barrier before and after.
pub struct Full;
impl Order for Full {
    const FULL: bool = true;
    const BOTH: Ordering = Ordering::AcqRel;
}

pub mod ordering {
    //! As the kernel has it.
    pub use super::{Acquire, Full, Relaxed, Release};
}

/// A full barrier.
pub fn fence() {
    if !checker::without("barriers") {
        atomic::fence(Ordering::SeqCst);
    }
}

/// What can be in an atomic.
pub trait Value: Copy {
    fn to_bits(self) -> usize;
    fn from_bits(bits: usize) -> Self;
}

impl Value for bool {
    fn to_bits(self) -> usize {
        self.into()
    }
    fn from_bits(bits: usize) -> Self {
        bits != 0
    }
}

impl Value for i32 {
    fn to_bits(self) -> usize {
        self as usize
    }
    fn from_bits(bits: usize) -> Self {
        bits as i32
    }
}

impl Value for u32 {
    fn to_bits(self) -> usize {
        self as usize
    }
    fn from_bits(bits: usize) -> Self {
        bits as u32
    }
}

impl Value for usize {
    fn to_bits(self) -> usize {
        self
    }
    fn from_bits(bits: usize) -> Self {
        bits
    }
}

impl<T> Value for *mut T {
    fn to_bits(self) -> usize {
        self.expose_provenance()
    }
    fn from_bits(bits: usize) -> Self {
        core::ptr::with_exposed_provenance_mut(bits)
    }
}

/// An atomic.
pub struct Atomic<T> {
    /// Its end is not an access: loom does not see the counting of references that makes an owner
    /// the last.
    value: ManuallyDrop<AtomicUsize>,
    _value: PhantomData<T>,
}

// SAFETY: loom runs all its threads on one of the machine's.
unsafe impl<T> Send for Atomic<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for Atomic<T> {}

impl<T: Value> Atomic<T> {
    pub fn new(initial: T) -> Self {
        Self {
            value: ManuallyDrop::new(AtomicUsize::new(initial.to_bits())),
            _value: PhantomData,
        }
    }

    fn access<O: Order, R>(&self, _order: O, f: impl FnOnce(&AtomicUsize) -> R) -> R {
        if O::FULL {
            fence();
        }
        let result = f(&self.value);
        if O::FULL {
            fence();
        }
        result
    }

    pub fn load<O: Order>(&self, order: O) -> T {
        T::from_bits(self.access(order, |value| value.load(O::LOAD)))
    }

    pub fn store<O: Order>(&self, new: T, order: O) {
        let store = if checker::without("release") {
            Ordering::Relaxed
        } else {
            O::STORE
        };
        self.access(order, |value| value.store(new.to_bits(), store));
    }

    pub fn xchg<O: Order>(&self, new: T, order: O) -> T {
        T::from_bits(self.access(order, |value| value.swap(new.to_bits(), O::BOTH)))
    }

    pub fn cmpxchg<O: Order>(&self, old: T, new: T, order: O) -> Result<T, T> {
        self.access(order, |value| {
            value.compare_exchange(old.to_bits(), new.to_bits(), O::BOTH, Ordering::Relaxed)
        })
        .map(T::from_bits)
        .map_err(T::from_bits)
    }
}

impl Atomic<usize> {
    pub fn fetch_add<O: Order>(&self, more: usize, order: O) -> usize {
        self.access(order, |value| value.fetch_add(more, O::BOTH))
    }

    pub fn fetch_sub<O: Order>(&self, less: usize, order: O) -> usize {
        self.access(order, |value| value.fetch_sub(less, O::BOTH))
    }
}
