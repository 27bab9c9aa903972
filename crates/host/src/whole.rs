//! Whole numbers with bounds, of which a file of settings is told when it leaves them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A whole number from `LOW` to `HIGH`, which is at most 2³² - 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Whole<const LOW: u32, const HIGH: u32>(u32);

impl<const LOW: u32, const HIGH: u32> Whole<LOW, HIGH> {
    pub(crate) fn count(self) -> u32 {
        self.0
    }

    pub(crate) fn secs(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

impl<'de, const LOW: u32, const HIGH: u32> Deserialize<'de> for Whole<LOW, HIGH> {
    fn deserialize<From: Deserializer<'de>>(from: From) -> Result<Self, From::Error> {
        let number = i64::deserialize(from)?;
        let fits = u32::try_from(number).ok().filter(|number| (LOW..=HIGH).contains(number));
        let what = || de::Error::custom(format!("{number} is out of bounds: it is {LOW} to {HIGH}"));
        fits.map(Self).ok_or_else(what)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<From: Deserializer<'de>>(from: From) -> Result<Self, From::Error> {
        let number = i64::deserialize(from)?;
        let negative = |_| de::Error::custom(format!("{number} is out of bounds: it is 0 or more"));
        number.try_into().map(Self).map_err(negative)
    }
}
