// SPDX-License-Identifier: GPL-2.0

//! Tables as text.

use comfy_table::{
    presets,
    Cell,
    CellAlignment,
    Table, //
};

use crate::function::{
    full_name,
    Function, //
};

const HEADER: [&str; 9] = [
    "FUNCTION", "GSI", "IRQ", "INTX", "MSI-X", "HOLD", "HOLDER", "DOMAIN", "NAME",
];

/// Stands for an absent value.
const NONE: &str = "-";

fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

fn intx(function: &Function) -> String {
    match (function.pin, function.trigger, function.polarity) {
        (None, ..) => NONE.to_owned(),
        (Some(pin), Some(trigger), Some(polarity)) => format!("{pin} {trigger} {polarity}"),
        (Some(pin), ..) => format!("{pin} unrouted"),
    }
}

fn holder(function: &Function) -> String {
    match (function.holder, &function.driver) {
        ("none", _) => NONE.to_owned(),
        (_, Some(driver)) => driver.clone(),
        (holder, None) => holder.to_owned(),
    }
}

fn name(function: &Function) -> String {
    let name = match (&function.name, function.vendor, function.device) {
        (Some(name), ..) => name.clone(),
        (None, Some(vendor), Some(device)) => format!("{vendor:04x}:{device:04x}"),
        _ => NONE.to_owned(),
    };
    full_name(&name, function.physfn)
}

fn columns(function: &Function) -> [String; HEADER.len()] {
    [
        function.sbdf.to_string(),
        or_none(function.gsi),
        or_none(function.irq),
        intx(function),
        or_none(Some(function.msix_entries).filter(|&n| n > 0)),
        or_none(function.msix.filter(|&msix| msix != "free")),
        holder(function),
        or_none(function.domid),
        name(function),
    ]
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

/// Prints columns without padding at the left, and without spaces at the end of a line.
fn print(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// One line for each function.
pub fn many(functions: &[Function]) -> String {
    let mut table = table();
    table.set_header(HEADER);
    table.add_rows(functions.iter().map(columns));
    for number in [1, 2, 4, 7] {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    print(table)
}

/// Any rows.
pub fn rows<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = table();
    table.set_header(header);
    table.add_rows(rows);
    print(table)
}

/// One line for each property.
pub fn one(function: &Function) -> String {
    let mut table = table();
    let class = function.class.map(|class| format!("{:04x}", class >> 8));
    let ids = function.vendor.zip(function.device);
    let extra = [
        ("STATE", or_none(function.state.as_ref())),
        ("RESET", or_none(function.reset.as_ref())),
        ("ID", or_none(ids.map(|(v, d)| format!("{v:04x}:{d:04x}")))),
        ("CLASS", or_none(class)),
    ];
    for (label, value) in HEADER.into_iter().zip(columns(function)).chain(extra) {
        table.add_row([Cell::new(label), Cell::new(value)]);
    }
    print(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        function::tests::NIC,
        uapi, //
    };

    fn nic() -> Function {
        Function {
            driver: Some("pciback".to_owned()),
            vendor: Some(0x8086),
            device: Some(0x10d3),
            class: Some(0x02_0000),
            ..Function::from(&NIC)
        }
    }

    #[test]
    fn many_functions() {
        let bridge = Function::from(&uapi::Info::default());
        let unrouted = Function::from(&uapi::Info {
            pin: 2,
            sbdf: 8,
            ..Default::default()
        });
        let virtual_function = Function {
            physfn: Some(nic().sbdf),
            ..Function::from(&uapi::Info {
                sbdf: 0x21,
                ..Default::default()
            })
        };
        assert_eq!(
            many(&[bridge, unrouted, nic(), virtual_function]),
            "\
FUNCTION      GSI  IRQ  INTX         MSI-X  HOLD  HOLDER   DOMAIN  NAME
0000:00:00.0    -    -  -                -  -     -             -  -
0000:00:01.0    -    -  B unrouted       -  -     -             -  -
0000:00:04.0   20   24  A level low      5  held  pciback       3  8086:10d3
0000:00:04.1    -    -  -                -  -     -             -  -, VF of 0000:00:04.0"
        );
    }

    #[test]
    fn no_functions() {
        assert!(many(&[]).starts_with("FUNCTION"));
    }

    #[test]
    fn one_function() {
        let text = one(&Function {
            name: Some("Intel 82574L".to_owned()),
            reset: Some("flr bus".to_owned()),
            ..nic()
        });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "FUNCTION  0000:00:04.0");
        assert_eq!(lines[HEADER.len() - 1], "NAME      Intel 82574L");
        assert_eq!(
            &lines[HEADER.len()..],
            [
                "STATE     -",
                "RESET     flr bus",
                "ID        8086:10d3",
                "CLASS     0200"
            ]
        );
    }
}
