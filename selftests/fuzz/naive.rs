// SPDX-License-Identifier: GPL-2.0

//! Addresses read by other means than the modules do it: letter by letter.

/// A hexadecimal number up to `most`; spaces around it are for the caller to remove.
pub(crate) fn hex(text: &str, most: u64) -> Option<u64> {
    let mut value = 0u64;
    for letter in text.chars() {
        value = value
            .saturating_mul(16)
            .saturating_add(letter.to_digit(16)?.into());
    }
    (!text.is_empty() && value <= most).then_some(value)
}

/// A decimal number up to `most`.
pub(crate) fn decimal(text: &[u8], most: u64) -> Option<u64> {
    let mut value = 0u64;
    for letter in text {
        let digit = letter.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value = value.saturating_mul(10).saturating_add(digit.into());
    }
    (!text.is_empty() && value <= most).then_some(value)
}

/// What is between colons and dots, and these.
pub(crate) fn fields(text: &str) -> (Vec<String>, String) {
    let mut fields = vec![String::new()];
    let mut separators = String::new();
    for letter in text.chars() {
        match letter {
            ':' | '.' => {
                separators.push(letter);
                fields.push(String::new());
            }
            _ => fields.last_mut().expect("one").push(letter),
        }
    }
    (fields, separators)
}

/// A pattern: segment, bus, and device and function unless all are meant.
pub(crate) type Pattern = (u64, u64, Option<u64>, Option<u64>);

/// Reads a pattern.
pub(crate) fn pattern(text: &str) -> Option<Pattern> {
    let (mut fields, separators) = fields(text.trim());
    match separators.as_str() {
        "::." => (),
        ":." => fields.insert(0, "0".into()),
        _ => return None,
    }
    let star = |text: &str, most| match text {
        "*" => Some(None),
        _ => hex(text.trim(), most).map(Some),
    };
    let segment = hex(fields[0].trim(), 0xffff)?;
    let bus = hex(fields[1].trim(), 0xff)?;
    match (star(&fields[2], 31)?, star(&fields[3], 7)?) {
        (None, Some(_)) => None,
        (device, function) => Some((segment, bus, device, function)),
    }
}

/// All functions that a pattern means, as Xen writes their addresses.
pub(crate) fn meant((segment, bus, device, function): Pattern) -> Vec<u32> {
    let mut all = Vec::new();
    for devfn in 0..256 {
        if device.is_none_or(|device| device == devfn / 8)
            && function.is_none_or(|function| function == devfn % 8)
        {
            all.push(u32::try_from(segment * 0x10000 + bus * 0x100 + devfn).expect("32 bits"));
        }
    }
    all
}
