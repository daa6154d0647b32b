// SPDX-License-Identifier: GPL-2.0

//! `Sbdf`: an address as text (`dev-N` in XenStore), and as a number.

use xen::pci::Sbdf;

use crate::{
    bytes::Bytes,
    naive, //
};

fn naively(text: &str) -> Option<u64> {
    let (fields, separators) = naive::fields(text);
    if separators != "::." {
        return None;
    }
    let number = |index: usize, most| naive::hex(&fields[index], most);
    Some(
        number(0, 0xffff)? * 0x10000
            + number(1, 0xff)? * 0x100
            + number(2, 31)? * 8
            + number(3, 7)?,
    )
}

pub(crate) fn run(input: &[u8]) {
    let number = Sbdf::from_u32(Bytes::new(input).word());
    assert_eq!(Sbdf::parse(&number.to_string()), Some(number));
    assert_eq!(
        Sbdf::new(number.segment(), number.bus(), number.devfn()),
        number
    );

    let text = String::from_utf8_lossy(input);
    let parsed = Sbdf::parse(&text);
    assert_eq!(parsed.map(|sbdf| u64::from(sbdf.to_u32())), naively(&text));
}
