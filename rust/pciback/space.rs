// SPDX-License-Identifier: GPL-2.0

//! The configuration space of a function as a PV guest reads and writes it.

use kernel::prelude::*;

use crate::{
    layout::{
        Config,
        Layout,
        Switch, //
        Traits,
    },
    operation::Access,
    quirks::Quirk,
    registers::{
        Rule,
        OTHER, //
    }, //
};

/// The configuration space of one function, for one guest.
pub(crate) struct Space {
    layout: Layout,
    is_permissive: bool,
}

impl Space {
    /// Errors are those of [`Layout::new`].
    pub(crate) fn new(config: &impl Config, traits: &Traits) -> Result<Self> {
        Ok(Self {
            layout: Layout::new(config, traits)?,
            is_permissive: traits.is_permissive,
        })
    }

    /// Lets the guest write what `quirk` says, if no table names the register. `ENOMEM`.
    pub(crate) fn allow(&mut self, quirk: &Quirk) -> Result {
        let Some((register, bits)) = quirk.bits() else {
            return Ok(());
        };
        let rules = &mut self.layout.rules;
        match rules.iter_mut().find(|(at, _)| *at == register) {
            Some((_, rule)) if rule.permissive == OTHER.permissive => rule.write |= bits,
            Some(_) => (),
            None => {
                let rule = Rule {
                    write: bits,
                    ..OTHER
                };
                rules.push((register, rule), GFP_KERNEL)?;
            }
        }
        Ok(())
    }

    /// Returns the number of entries of the MSI-X table that the guest may use.
    pub(crate) fn msix_entries(&self) -> u16 {
        self.layout.msix_entries
    }

    /// Reads what the guest sees.
    pub(crate) fn read(&self, config: &impl Config, access: Access) -> Result<u32> {
        let rule = self.rule(access.register());
        let (show, value) = (rule.show >> access.shift(), rule.value >> access.shift());
        let shown = if show & access.mask() == 0 {
            0
        } else {
            config.read(access)? & show
        };
        Ok((shown | value & !show) & access.mask())
    }

    /// Writes as far as the guest may.
    pub(crate) fn write(&mut self, config: &impl Config, access: Access, value: u32) -> Result {
        let register = access.register();
        let rule = self.rule(register);
        let (shift, mask) = (access.shift(), access.mask());
        let shadow = rule.shadow & mask << shift;
        if shadow != 0 {
            if let Some((_, rule)) = self.layout.rules.iter_mut().find(|(at, _)| *at == register) {
                rule.value = rule.value & !shadow | value << shift & shadow;
            }
        }
        let permissive = if self.is_permissive {
            rule.permissive
        } else {
            0
        };
        let write = (rule.write | permissive) >> shift & mask;
        if write == 0 {
            return Ok(());
        }
        self.require_one_kind(config, register, write << shift, value << shift)?;
        let kept = if write == mask {
            0
        } else {
            config.read(access)? & !write & !(rule.zero >> shift)
        };
        config.write(access, kept | value & write)
    }

    /// Fails with `EBUSY` if the function sends messages.
    pub(crate) fn require_no_messages(&self, config: &impl Config) -> Result {
        self.require_off(config, |switch| switch.on)
    }

    /// Fails with `EBUSY` if this write of the bits `write` would enable a kind of interrupts while
    /// another one is enabled.
    fn require_one_kind(
        &self,
        config: &impl Config,
        register: u16,
        write: u32,
        value: u32,
    ) -> Result {
        let mut switches = self.layout.switches.iter();
        let enabled = switches.find(|switch| {
            switch.register == register
                && write & switch.bit != 0
                && (value & switch.bit != 0) == switch.on
        });
        match enabled {
            Some(enabled) => self.require_off(config, |switch| switch != enabled),
            None => Ok(()),
        }
    }

    fn require_off(&self, config: &impl Config, wanted: impl Fn(&Switch) -> bool) -> Result {
        for switch in self.layout.switches.iter().filter(|switch| wanted(switch)) {
            let register = Access::new(switch.register.into(), 4).ok_or(EINVAL)?;
            if (config.read(register)? & switch.bit != 0) == switch.on {
                return Err(EBUSY);
            }
        }
        Ok(())
    }

    fn rule(&self, register: u16) -> Rule {
        let found = self.layout.rules.iter().find(|(at, _)| *at == register);
        found.map_or(OTHER, |(_, rule)| *rule)
    }
}

#[kernel::macros::kunit_tests(xen_pciback_space)]
mod tests {
    use core::cell::RefCell;

    use super::*;

    use crate::layout::Virtual;

    /// A function without side effects: the first 256 bytes.
    struct Function(RefCell<[u32; 64]>);

    impl Function {
        fn word(&self, register: u16) -> u32 {
            let words = self.0.borrow();
            words.get(usize::from(register / 4)).copied().unwrap_or(0)
        }
    }

    impl Config for Function {
        fn read(&self, access: Access) -> Result<u32> {
            Ok(self.word(access.register()) >> access.shift() & access.mask())
        }

        fn write(&self, access: Access, value: u32) -> Result {
            assert_eq!(value & !access.mask(), 0);
            let mask = access.mask() << access.shift();
            let index = usize::from(access.register() / 4);
            let mut words = self.0.borrow_mut();
            let word = words.get_mut(index).ok_or(EINVAL)?;
            *word = *word & !mask | value << access.shift();
            Ok(())
        }
    }

    /// A NIC: PM at 0x40, MSI at 0x50, MSI-X with 5 entries at 0x70, VPD at 0x80, PCI Express at
    /// 0xa0.
    fn function() -> Function {
        let mut words = [0; 64];
        for (register, value) in [
            (0x00, 0x10d3_8086),
            (0x04, 0x3810_0003),
            (0x0c, 0x0000_0010),
            (0x10, 0xfe00_0000),
            (0x14, 0x0000_c001),
            (0x18, 0x0000_000c),
            (0x1c, 0x0000_0002),
            (0x30, 0xfe40_0000),
            (0x34, 0x40),
            (0x3c, 0x0000_010b),
            (0x40, 0xfe23_5001),
            (0x44, 0x0000_2108),
            (0x50, 0x008e_7005),
            (0x54, 0xfee0_1000),
            (0x5c, 0x0000_4041),
            (0x70, 0x0004_8011),
            (0x74, 0x0000_0003),
            (0x80, 0x8123_a003),
            (0x84, 0x6c61_6e61),
            (0xa0, 0x0002_0010),
            (0xa8, 0x000f_2810),
            (0xe0, 0x1234_5678),
        ] {
            words[register / 4] = value;
        }
        Function(RefCell::new(words))
    }

    const TRAITS: Traits = Traits {
        lengths: [0x2_0000, 0x20, 0x2_0000_0000, 0, 0, 0, 0x4_0000],
        virtual_function: None,
        line: 16,
        is_permissive: false,
        controls_interrupts: false,
    };

    fn space(function: &Function, is_permissive: bool) -> Result<Space> {
        let traits = Traits {
            is_permissive,
            ..TRAITS
        };
        Space::new(function, &traits)
    }

    fn at(offset: u32, size: u32) -> Access {
        Access::new(offset, size).expect("valid")
    }

    /// XSA-120: a guest cannot stop the function from decoding its BARs, nor clear STATUS.
    #[test]
    fn xsa_120_memory_stays_on() -> Result {
        for is_permissive in [false, true] {
            let function = function();
            let mut space = space(&function, is_permissive)?;
            assert_eq!(space.read(&function, at(4, 2)), Ok(0));
            for (access, value) in [(at(4, 4), 0), (at(4, 2), 0x400), (at(4, 1), 0)] {
                space.write(&function, access, value)?;
                assert_eq!(function.word(4) & 0xf900_ffff, 3);
            }
            space.write(&function, at(4, 2), 0x0546)?;
            assert_eq!(function.word(4) & 0xffff, 0x0007);
            assert_eq!(space.read(&function, at(4, 2)), Ok(0x0546));
            space.write(&function, at(4, 4), u32::MAX)?;
            assert_eq!(space.read(&function, at(4, 2)), Ok(0x077f));
            assert_eq!(function.word(4) & 0xf900_ffff, 0x0007);
        }
        Ok(())
    }

    /// A guest sees the addresses of the host, and learns lengths. The function keeps its BARs.
    #[test]
    fn bars_are_the_guests_own() -> Result {
        for is_permissive in [false, true] {
            let function = function();
            let mut space = space(&function, is_permissive)?;
            for (register, address, ones) in [
                (0x10, 0xfe00_0000, 0xfffe_0000),
                (0x14, 0x0000_c001, 0xffff_ffe1),
                (0x18, 0x0000_000c, 0x0000_000c),
                (0x1c, 0x0000_0002, 0xffff_fffe),
                (0x20, 0, 0),
                (0x30, 0xfe40_0000, 0xfffc_0001),
            ] {
                let bar = at(register, 4);
                assert_eq!(space.read(&function, bar), Ok(address));
                space.write(&function, bar, u32::MAX)?;
                assert_eq!(space.read(&function, bar), Ok(ones));
                space.write(&function, bar, address)?;
                assert_eq!(space.read(&function, bar), Ok(address));
                assert_eq!(function.word(register as u16), address);
            }
        }
        Ok(())
    }

    /// A guest sees of a virtual function what its registers do not have.
    #[test]
    fn virtual_functions_look_like_others() -> Result {
        let function = function();
        for register in [0x00, 0x10, 0x14, 0x18, 0x1c, 0x30] {
            let value = if register == 0 { u32::MAX } else { 0 };
            function.write(at(register, 4), value)?;
        }
        let traits = Traits {
            lengths: [0x4000, 0, 0, 0x8000, 0, 0x10, 0],
            virtual_function: Some(Virtual {
                ids: [0x8086, 0x10ca],
                starts: [0x12_fe00_0000, 0, 0, 0xfe40_0000, 0, 0xc000],
                flags: [0xc, 0, 0, 0, 0, 0x1],
            }),
            ..TRAITS
        };
        let mut space = Space::new(&function, &traits)?;
        for (register, value, ones) in [
            (0x00, 0x10ca_8086, 0x10ca_8086),
            (0x10, 0xfe00_000c, 0xffff_c00c),
            (0x14, 0x12, u32::MAX),
            (0x18, 0, 0),
            (0x1c, 0xfe40_0000, 0xffff_8000),
            (0x20, 0, 0),
            (0x24, 0xc001, 0xffff_fff1),
            (0x30, 0, 0),
        ] {
            let register = at(register, 4);
            assert_eq!(space.read(&function, register), Ok(value));
            space.write(&function, register, u32::MAX)?;
            assert_eq!(space.read(&function, register), Ok(ones));
        }
        assert_eq!(function.word(0x10), 0);
        assert_eq!(space.read(&function, at(0x02, 2)), Ok(0x10ca));
        Ok(())
    }

    /// Without MMCONFIG, Linux reaches the first 256 bytes only.
    #[test]
    fn extended_registers_may_be_out_of_reach() -> Result {
        struct Short(Function);

        impl Config for Short {
            fn read(&self, access: Access) -> Result<u32> {
                if access.register() < 0x100 {
                    self.0.read(access)
                } else {
                    Err(EIO)
                }
            }

            fn write(&self, access: Access, value: u32) -> Result {
                self.0.write(access, value)
            }
        }

        let short = Short(function());
        let space = Space::new(&short, &TRAITS)?;
        assert_eq!(space.read(&short, at(0x00, 4)), Ok(0x10d3_8086));
        assert_eq!(space.read(&short, at(0x100, 4)), Err(EIO));
        Ok(())
    }

    /// What Xen and the backend write stays theirs, and what would reset the function is dropped.
    #[test]
    fn the_hosts_registers_are_closed() -> Result {
        for is_permissive in [false, true] {
            let function = function();
            let mut space = space(&function, is_permissive)?;
            for register in [
                0x00, 0x2c, 0x34, 0x3c, 0x40, 0x44, 0x50, 0x54, 0x58, 0x5c, 0x70, 0x74,
            ] {
                let before = function.word(register);
                for (size, value) in [(4, u32::MAX), (2, 0xffff), (1, 0xff), (4, 0)] {
                    space.write(&function, at(register.into(), size), value)?;
                    assert_eq!(function.word(register), before);
                }
            }
            space.write(&function, at(0xa8, 4), u32::MAX)?;
            assert_eq!(
                function.word(0xa8) & 0x000f_8000,
                if is_permissive { 0 } else { 0xf_0000 }
            );
            space.write(&function, at(0xe0, 2), 0xabcd)?;
            let other = if is_permissive {
                0x1234_abcd
            } else {
                0x1234_5678
            };
            assert_eq!(space.read(&function, at(0xe0, 4)), Ok(other));
            assert_eq!(space.read(&function, at(0xe2, 1)), Ok(0x34));
        }
        Ok(())
    }

    /// Vital product data is read at an address that the guest writes, and never written.
    #[test]
    fn vital_product_data_is_read_only() -> Result {
        let function = function();
        let mut space = space(&function, false)?;
        for (access, value) in [
            (at(0x82, 2), 0x8010),
            (at(0x80, 4), 0x8020_0000),
            (at(0x83, 1), 0x80),
        ] {
            space.write(&function, access, value)?;
            assert_eq!(function.word(0x80) >> 31, 0);
        }
        assert_eq!(function.word(0x80), 0x0020_a003);
        space.write(&function, at(0x84, 4), 0)?;
        assert_eq!(space.read(&function, at(0x84, 4)), Ok(0x6c61_6e61));
        Ok(())
    }

    /// A function stays in D0, has one MSI without an address, and an MSI-X entry less.
    #[test]
    fn capabilities_are_virtual() -> Result {
        let function = function();
        let mut space = space(&function, false)?;
        assert_eq!(space.read(&function, at(0x3c, 2)), Ok(0x0110));
        assert_eq!(space.read(&function, at(0x42, 2)), Ok(0x0623));
        space.write(&function, at(0x44, 2), 0x8103)?;
        assert_eq!(space.read(&function, at(0x44, 2)), Ok(0x210b));
        assert_eq!(space.read(&function, at(0x52, 2)), Ok(0x0080));
        assert_eq!(space.read(&function, at(0x54, 4)), Ok(0));
        assert_eq!(space.read(&function, at(0x5c, 4)), Ok(0));
        assert_eq!(space.read(&function, at(0x72, 2)), Ok(3));
        assert_eq!(space.msix_entries(), 4);
        function.write(at(0x72, 2), 0x8000)?;
        let space = self::space(&function, false)?;
        assert_eq!(space.read(&function, at(0x70, 4)), Ok(0x8000_8000));
        assert_eq!(space.msix_entries(), 0);
        Ok(())
    }

    /// With `allow_interrupt_control`, a guest enables one kind of interrupts at a time, and writes
    /// nothing else.
    #[test]
    fn one_kind_is_controlled() -> Result {
        let function = function();
        let traits = Traits {
            controls_interrupts: true,
            ..TRAITS
        };
        let mut space = Space::new(&function, &traits)?;
        let (command, msi, msix) = (at(0x04, 2), at(0x52, 2), at(0x72, 2));
        // INTx is on.
        assert_eq!(space.write(&function, msi, 1), Err(EBUSY));
        assert_eq!(space.write(&function, msix, 0x8000), Err(EBUSY));
        assert_eq!(space.require_no_messages(&function), Ok(()));
        space.write(&function, command, 0x0400)?;
        assert_eq!(function.word(0x04) & 0xffff, 0x0403);
        assert_eq!(space.read(&function, command), Ok(0x0400));
        space.write(&function, msi, 0xffff)?;
        assert_eq!(function.word(0x50), 0x008f_7005);
        assert_eq!(space.write(&function, msix, 0xc000), Err(EBUSY));
        assert_eq!(space.write(&function, command, 0), Err(EBUSY));
        assert_eq!(space.require_no_messages(&function), Err(EBUSY));
        space.write(&function, msi, 0)?;
        space.write(&function, msix, 0xffff)?;
        assert_eq!(function.word(0x70), 0xc004_8011);
        assert_eq!(space.read(&function, msix), Ok(0xc003));
        assert_eq!(space.write(&function, msi, 1), Err(EBUSY));
        space.write(&function, msix, 0x8000)?;
        assert_eq!(function.word(0x70), 0x8004_8011);
        Ok(())
    }

    /// A function without a pin may have no switch for INTx: it is off.
    #[test]
    fn messages_need_no_pin() -> Result {
        let function = function();
        function.write(at(0x3c, 4), 0x0000_000b)?;
        let traits = Traits {
            controls_interrupts: true,
            ..TRAITS
        };
        let mut space = Space::new(&function, &traits)?;
        space.write(&function, at(0x72, 2), 0x8000)?;
        assert_eq!(function.word(0x70), 0x8004_8011);
        assert_eq!(space.write(&function, at(0x52, 2), 1), Err(EBUSY));
        Ok(())
    }

    /// Quirks open registers that no table names, and no others.
    #[test]
    fn quirks_open_registers() -> Result {
        let function = function();
        let mut space = space(&function, false)?;
        for text in [
            "0:0.0-e0:2:ff0",
            "0:0.0-e3:1:f",
            "0:0.0-e1:4:ff",
            "0:0.0-10:4:ffff",
            "0:0.0-4:2:3",
        ] {
            let Some((_, quirk)) = Quirk::parse(text) else {
                panic!("{text}");
            };
            space.allow(&quirk)?;
        }
        for register in [0x04, 0xe0, 0xe4] {
            space.write(&function, at(register, 4), 0)?;
        }
        assert_eq!(function.word(0xe0), 0x1034_5008);
        assert_eq!(function.word(0x04) & 0xffff, 3);
        Ok(())
    }

    /// Lists of capabilities that never end do.
    #[test]
    fn loops_end() -> Result {
        let function = function();
        function.write(at(0xa1, 1), 0x40)?;
        assert!(space(&function, false)?.layout.rules.len() < 64);
        Ok(())
    }
}
