//! Whole numbers with bounds, for files of settings.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A whole number from `LOW` to `HIGH`, which is at most 2³² - 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whole<const LOW: u32, const HIGH: u32>(u32);

impl<const LOW: u32, const HIGH: u32> Whole<LOW, HIGH> {
    /// The number that is nearest to this one.
    #[must_use]
    pub const fn nearest(number: u32) -> Self {
        if number < LOW {
            Self(LOW)
        } else if number > HIGH {
            Self(HIGH)
        } else {
            Self(number)
        }
    }

    /// The number.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0
    }

    /// So many seconds.
    #[must_use]
    pub fn secs(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

impl<'de, const LOW: u32, const HIGH: u32> Deserialize<'de> for Whole<LOW, HIGH> {
    fn deserialize<From: Deserializer<'de>>(from: From) -> Result<Self, From::Error> {
        let number = from.deserialize_any(Within { low: LOW.into(), high: HIGH.into() })?;
        u32::try_from(number).map(Self).map_err(de::Error::custom)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<From: Deserializer<'de>>(from: From) -> Result<Self, From::Error> {
        from.deserialize_any(Within { low: 0, high: i64::MAX.unsigned_abs() }).map(Self)
    }
}

/// Names the bounds in every error.
struct Within {
    low: u64,
    high: u64,
}

impl Within {
    fn out_of_range<E: de::Error>(&self, number: &dyn fmt::Display) -> E {
        E::custom(format!("{number} is out of range: {} to {}", self.low, self.high))
    }

    fn no_number<E: de::Error>(&self, what: &dyn fmt::Display) -> E {
        E::custom(format!("{what} is not a whole number: {} to {}", self.low, self.high))
    }
}

impl de::Visitor<'_> for Within {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a whole number: {} to {}", self.low, self.high)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        if (self.low..=self.high).contains(&number) { Ok(number) } else { Err(self.out_of_range(&number)) }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(self.out_of_range(&number)),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<u64, E> {
        Err(self.no_number(&number))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<u64, E> {
        Err(self.no_number(&value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        Err(self.no_number(&format_args!("{text:?}")))
    }
}
