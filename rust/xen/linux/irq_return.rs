// SPDX-License-Identifier: GPL-2.0

//! What a handler of an interrupt returns to C.
//!
//! C header: [`include/linux/irqreturn.h`](srctree/include/linux/irqreturn.h)

use kernel::irq::IrqReturn;

use crate::bindings;

/// Returns `answer` as C has it.
pub(crate) fn to_raw(answer: IrqReturn) -> bindings::irqreturn_t {
    // SAFETY: The values of `IrqReturn` are those of `irqreturn_t`, which is an integer in Linux
    // 7.2, and a type of its own around that in 7.3.
    unsafe { core::mem::transmute::<IrqReturn, bindings::irqreturn_t>(answer) }
}
