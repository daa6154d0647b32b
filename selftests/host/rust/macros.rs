// SPDX-License-Identifier: GPL-2.0

//! Stands in for the kernel's crate `macros`: `#[kunit_tests]` makes host tests.

use proc_macro::TokenStream;

/// Compiles the module for `rustc --test` only.
#[proc_macro_attribute]
pub fn kunit_tests(_suite: TokenStream, module: TokenStream) -> TokenStream {
    let mut tokens: TokenStream = "#[cfg(test)]".parse().expect("an attribute");
    tokens.extend(module);
    tokens
}
