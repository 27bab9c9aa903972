//! What a loader is going to boot, read as the loader reads it and not as the suite does. Shell words that print a
//! toplevel.

/// The last `default` that `loader.conf` names.
pub(crate) const SYSTEMD_BOOT_DEFAULT: &str = r#"
entry=$(sed -n 's/^default //p' /boot/loader/loader.conf | tail -n1)
sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' "/boot/loader/entries/$entry"
"#;

/// Four bytes of attributes, then UTF-16. It cannot be sought in.
pub(crate) const SYSTEMD_BOOT_ONE_SHOT: &str = r#"
file=/sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
[ -e $file ] || exit 0
entry=$(cat $file | tail -c +5 | tr -d '\0')
sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' "/boot/loader/entries/$entry"
"#;

/// Titles or ids, from the outermost submenu inwards: `A submenu>An entry`.
macro_rules! named_in_grubenv {
    ($variable:literal) => {
        concat!(
            "wanted=$(sed -n 's/^",
            $variable,
            "=//p' /boot/grub/grubenv); [ -n \"$wanted\" ] || exit 0\n",
            r#"awk -v wanted="$wanted" '
  function name(part) {
    if (match($0, /--id [^ ]+/)) return substr($0, RSTART + 5, RLENGTH - 5)
    split($0, part, "\""); return part[2]
  }
  /^submenu/ { menu = name() ">" }
  /^menuentry/ { path = menu name() }
  /[{]$/ { depth++ }
  /^[}]/ { if (--depth == 0) menu = "" }
  path == wanted && match($0, /init=[^ ]+/) { print substr($0, RSTART + 5, RLENGTH - 10); exit }
' /boot/grub/grub.cfg"#
        )
    };
}

pub(crate) const GRUB_DEFAULT: &str = named_in_grubenv!("saved_entry");
pub(crate) const GRUB_ONE_SHOT: &str = named_in_grubenv!("next_entry");
