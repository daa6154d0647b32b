// SPDX-License-Identifier: GPL-2.0

//! The result of a reset.

use kernel::prelude::*;

/// Converts the result of a reset by the PCI core, which returns `ENOTTY` for a function without a
/// reset method, but also for one that did not come back in time: `ETIMEDOUT`.
pub(super) fn of_core(result: Result, has_method: impl FnOnce() -> bool) -> Result {
    match result {
        Err(e) if e == ENOTTY && has_method() => Err(ETIMEDOUT),
        result => result,
    }
}

#[kernel::macros::kunit_tests(xen_reset_result)]
mod tests {
    use super::*;

    #[test]
    fn a_function_with_a_method_did_not_come_back() {
        assert_eq!(of_core(Err(ENOTTY), || true), Err(ETIMEDOUT));
    }

    #[test]
    fn a_function_without_a_method_cannot_be_reset() {
        assert_eq!(of_core(Err(ENOTTY), || false), Err(ENOTTY));
    }

    #[test]
    fn other_results_stay() {
        for has_method in [false, true] {
            assert_eq!(of_core(Ok(()), || has_method), Ok(()));
            assert_eq!(of_core(Err(EIO), || has_method), Err(EIO));
            assert_eq!(of_core(Err(ETIMEDOUT), || has_method), Err(ETIMEDOUT));
        }
    }
}
