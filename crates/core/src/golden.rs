//! Which system is golden, and how its boot entry comes back.

use crate::{Ledger, Loader, Toplevel};

/// Golden, from its root of garbage collection, its profile and the ledger, each of which may be gone or older than the others.
///
/// The root is golden, for a pin moves it after the profile. A pin by a build that knows no root leaves it behind: then profile
/// and ledger agree. Other programs remove profiles, and the ledger of a machine that such a build pinned is then all that is left.
#[must_use]
pub fn golden<'a>(
    root: Option<&'a Toplevel>,
    profile: Option<&'a Toplevel>,
    pinned: Option<&'a Toplevel>,
) -> Option<&'a Toplevel> {
    profile.filter(|_| profile == pinned).or(root).or(profile).or(pinned)
}

/// The system whose installer writes the boot entry of golden anew without changing the default; `None` where golden has an entry,
/// or where an installer would make a system the default that is not known to be good.
#[must_use]
pub fn relists<'a>(ledger: &Ledger, loader: &'a Loader, golden: &Toplevel) -> Option<&'a Toplevel> {
    let default = loader.default.as_ref().filter(|_| !loader.listed.contains(golden));
    default.filter(|default| ledger.is_confirmed(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_is_the_system_that_was_pinned_last_if_any_of_its_links_is_left() {
        let (a, b): (Toplevel, Toplevel) =
            ("/nix/store/aaaa-a".parse().unwrap(), "/nix/store/bbbb-b".parse().unwrap());
        let (a, b) = (Some(&a), Some(&b));
        for (root, profile, pinned, expected, claim) in [
            (a, a, a, a, "nothing has happened"),
            (a, None, a, a, "the profile was removed"),
            (a, b, a, a, "the profile names what nobody pinned"),
            (a, None, None, a, "the profile was removed and the ledger is lost"),
            (a, a, b, a, "the ledger was restored from a backup"),
            (None, a, a, a, "an older build pinned it"),
            (None, a, None, a, "an older build pinned it and the ledger is lost"),
            (None, None, a, a, "an older build pinned it and the profile was removed"),
            (a, b, b, b, "an older build pinned another one since"),
            (b, b, a, b, "a pin was cut off before the ledger knew"),
            (None, None, None, None, "nothing was pinned"),
        ] {
            assert_eq!(golden(root, profile, pinned), expected, "{claim}");
        }
    }
}
