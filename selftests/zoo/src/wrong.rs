// SPDX-License-Identifier: GPL-2.0

//! Why a description is refused.

use std::fmt;

/// Why a description is refused.
#[derive(Debug)]
pub struct Wrong {
    /// Where, such as `function[0].msix.table.bar`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.problem, self.remedy)
    }
}

/// Makes a [`Wrong`].
pub fn wrong<T>(
    field: impl Into<String>,
    problem: impl Into<String>,
    remedy: impl Into<String>,
) -> Result<T, Wrong> {
    Err(Wrong {
        field: field.into(),
        problem: problem.into(),
        remedy: remedy.into(),
    })
}
