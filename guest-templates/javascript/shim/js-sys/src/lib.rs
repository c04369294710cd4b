//! Stands in for the bindings to a JavaScript host, which the guest does not have.
//!
//! Oxc's table of browsers asks such a host for the date. The real bindings would give the guest imports that nobody
//! provides; nothing that the shim uses of Oxc reads a date, so this one stands still at the beginning of 1970.

/// A date that stands still.
#[derive(Debug)]
pub struct Date;

impl Date {
    /// Milliseconds since 1970: none.
    pub fn now() -> f64 {
        0.0
    }

    /// The one date.
    pub fn new_0() -> Date {
        Date
    }

    /// Stays where it is.
    pub fn set_time(&self, _milliseconds: f64) {}

    /// The year.
    pub fn get_full_year(&self) -> u32 {
        1970
    }

    /// The month, from 0.
    pub fn get_month(&self) -> u32 {
        0
    }

    /// There is no such date.
    pub fn set_full_year_with_month(&self, _year: u32, _month: i32) -> f64 {
        f64::NAN
    }
}
