// SPDX-License-Identifier: GPL-2.0

//! `operation`: a `struct xen_pci_op` of a guest, and answers to it.

use crate::{
    bytes::Bytes,
    operation::{
        Answer,
        Operation,
        Refusal,
        Request,
        WORDS, //
    },
};

/// The structure as its C header lists it: the fields' places in bytes.
const CMD: usize = 0;
const ERR: usize = 4;
const DOMAIN: usize = 8;
const BUS: usize = 12;
const DEVFN: usize = 16;
const OFFSET: usize = 20;
const SIZE: usize = 24;
const VALUE: usize = 28;
const ENTRIES: usize = 36;
const LENGTH: usize = 548;

fn field(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"))
}

/// What it asks for: the command, the offset and size, and the entries.
type Asked = (u32, Option<(i64, i64)>, Vec<u16>);

fn naively(bytes: &[u8]) -> Result<Asked, i32> {
    let cmd = field(bytes, CMD);
    match cmd {
        0 | 1 => {
            let signed = |at| i64::from(i32::from_le_bytes(field(bytes, at).to_le_bytes()));
            let (offset, size) = (signed(OFFSET), signed(SIZE));
            let parts = [(1, 4096), (2, 2048), (4, 1024)];
            let is_part = parts.iter().any(|(length, count)| {
                size == *length && (0..*count).any(|part| part * length == offset)
            });
            if is_part {
                Ok((cmd, Some((offset, size)), Vec::new()))
            } else {
                Err(-2)
            }
        }
        2 => Ok((cmd, None, Vec::new())),
        3 | 5 => Ok((3, None, Vec::new())),
        4 => match field(bytes, VALUE) {
            0 | 129.. => Err(-5),
            count => {
                let entries = bytes[ENTRIES..].chunks_exact(4).take(count as usize);
                let entry = |bytes: &[u8]| u16::from_le_bytes([bytes[2], bytes[3]]);
                Ok((cmd, None, entries.map(entry).collect()))
            }
        },
        _ => Err(-4),
    }
}

/// Writes an answer, as the driver does.
fn answered(bytes: &[u8], answer: Answer<'_>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (index, word) in answer.encode() {
        bytes[index * 4..index * 4 + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

pub(crate) fn run(input: &[u8]) {
    let mut source = Bytes::new(input);
    let mut bytes = [0; LENGTH];
    // Few commands and counts are valid.
    bytes[CMD] = source.byte() % 8;
    bytes[SIZE] = source.byte() % 5;
    bytes[VALUE] = source.byte();
    bytes[OFFSET..OFFSET + 4].copy_from_slice(&source.word().to_le_bytes());
    while !source.is_empty() {
        let at = source.word() as usize % LENGTH;
        bytes[at] = source.byte();
    }
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().expect("four"));
    }
    assert_eq!(WORDS * 4, LENGTH);
    let decoded = Request::decode(&words);
    let found = match decoded {
        Ok(request) => {
            let place = request.place;
            for (found, at) in [
                (place.segment, DOMAIN),
                (place.bus, BUS),
                (place.devfn, DEVFN),
            ] {
                assert_eq!(found, field(&bytes, at));
            }
            let part = |access: crate::operation::Access| {
                assert_eq!(
                    u32::from(access.offset()),
                    u32::from(access.register()) + access.shift() / 8
                );
                assert_eq!(
                    u64::from(access.mask()),
                    (1u64 << (u32::from(access.size()) * 8)) - 1
                );
                Some((i64::from(access.offset()), i64::from(access.size())))
            };
            Ok(match request.operation {
                Operation::Read(access) => (0, part(access), Vec::new()),
                Operation::Write(access, value) => {
                    assert_eq!(value, field(&bytes, VALUE));
                    (1, part(access), Vec::new())
                }
                Operation::EnableMsi => (2, None, Vec::new()),
                Operation::Disable => (3, None, Vec::new()),
                Operation::EnableMsix(entries) => (4, None, entries.iter().collect()),
            })
        }
        Err(refusal) => Err(refusal as i32),
    };
    assert_eq!(found, naively(&bytes));

    // Only what has to be is written.
    let mut wanted = bytes.to_vec();
    wanted[ERR..ERR + 4].fill(0);
    assert_eq!(answered(&bytes, Answer::Done), wanted);
    if let Ok(Request {
        operation: Operation::EnableMsix(entries),
        ..
    }) = decoded
    {
        let pirqs: Vec<u16> = entries.iter().map(|entry| entry ^ 0x55).collect();
        let mut wanted = wanted.clone();
        wanted[VALUE..VALUE + 4].fill(0);
        for (index, pirq) in pirqs.iter().enumerate() {
            let at = ENTRIES + index * 4;
            wanted[at..at + 2].copy_from_slice(&pirq.to_le_bytes());
        }
        assert_eq!(answered(&bytes, Answer::Pirqs(&entries, &pirqs)), wanted);
    }
    wanted[VALUE..VALUE + 4].fill(0xab);
    assert_eq!(answered(&bytes, Answer::Value(0xabab_abab)), wanted);
    for refusal in [
        Refusal::NoFunction,
        Refusal::Offset,
        Refusal::NotImplemented,
        Refusal::Failed,
    ] {
        let said = answered(&bytes, Answer::Refused(refusal));
        assert_eq!(field(&said, ERR), refusal as i32 as u32);
        assert_eq!((&said[..ERR], &said[8..]), (&bytes[..ERR], &bytes[8..]));
    }
}
