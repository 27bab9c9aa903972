//! A machine below a directory, with everything on it that the programs look at.

#![allow(dead_code, reason = "each test uses a part")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use golden_host::simulated::kernel_image;
use tempfile::TempDir;

/// Directory of EFI variables.
pub const VARIABLES: &str = "/sys/firmware/efi/efivars";
/// Vendor of the boot loader interface.
pub const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
pub const LEDGER: &str = "/var/lib/golden-generation/ledger.json";

pub struct Machine {
    root: TempDir,
}

impl Machine {
    /// A directory with nothing in it.
    pub fn empty() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// Systems `a` and `b` with boot entries; `a` is the default, runs, and is golden.
    pub fn installed() -> Self {
        let machine = Self::empty();
        for (number, system) in ["a", "b"].into_iter().enumerate() {
            let top = toplevel(system);
            let initrd = format!("initrd of {system}");
            machine.put(&format!("{top}/init"), b"");
            for (file, bytes) in [("kernel", kernel(system)), ("initrd", initrd.into_bytes())] {
                machine.put(&format!("{top}/{file}"), &bytes);
                machine.put(&format!("/boot/EFI/nixos/{system}-{file}.efi"), &bytes);
            }
            let entry = format!(
                "title NixOS\nversion Generation {number}\nlinux /EFI/nixos/{system}-kernel.efi\n\
                 initrd /EFI/nixos/{system}-initrd.efi\noptions init={top}/init quiet\n"
            );
            machine.put(&format!("/boot/loader/entries/nixos-{system}.conf"), entry.as_bytes());
        }
        machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-a.conf\n");
        machine.put(&format!("{VARIABLES}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"), b"\x06\0\0\0\0");
        machine.put("/var/lib/golden-generation/.keep", b"");
        machine.link("/nix/var/nix/profiles/system-profiles/golden", "golden-1-link");
        machine.link("/nix/var/nix/profiles/system-profiles/golden-1-link", &toplevel("a"));
        machine.boot(1, "a");
        machine
    }

    /// Systems `a` and `b` in the store; `a` runs and is golden. There is no loader.
    fn without_loader() -> Self {
        let machine = Self::empty();
        for system in ["a", "b"] {
            let top = toplevel(system);
            for file in ["init", "kernel", "initrd"] {
                machine.put(&format!("{top}/{file}"), format!("{file} of {system}").as_bytes());
            }
            machine.put(&format!("{top}/kernel-params"), b"quiet");
        }
        machine.put(&format!("{VARIABLES}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"), b"\x06\0\0\0\0");
        machine.put("/var/lib/golden-generation/.keep", b"");
        machine.link("/nix/var/nix/profiles/system-profiles/golden", "golden-1-link");
        machine.link("/nix/var/nix/profiles/system-profiles/golden-1-link", &toplevel("a"));
        machine.boot(1, "a");
        machine
    }

    fn put_boot_files(&self, directory: &str) {
        for system in ["a", "b"] {
            for file in ["kernel", "initrd"] {
                let text = format!("{file} of {system}");
                self.put(&format!("{directory}/{system}-{file}"), text.as_bytes());
            }
        }
    }

    /// The same with GRUB, as NixOS's installer leaves it after a switch to `b`.
    pub fn with_grub() -> Self {
        let machine = Self::without_loader();
        machine.put_boot_files("/boot/kernels");
        let entry = |title: &str, system: &str| {
            format!(
                "menuentry \"{title}\" --class nixos --unrestricted {{\nsearch --set=drive1 --fs-uuid 8f2c\n  \
                 linux ($drive1)/kernels/{system}-kernel init={}/init quiet\n  \
                 initrd ($drive1)/kernels/{system}-initrd\n}}\n\n",
                toplevel(system)
            )
        };
        let cfg = [
            "search --set=drive1 --fs-uuid 8f2c\nif [ -s $prefix/grubenv ]; then\n  load_env\nfi\n\
             if [ \"${next_entry}\" ]; then\n  set default=\"${next_entry}\"\n  set next_entry=\n  \
             save_env next_entry\n  set timeout=1\n  set boot_once=true\nelse\n  \
             set default=\"${saved_entry}\"\n  set timeout=5\nfi\n\n"
                .to_owned(),
            entry("NixOS", "b"),
            "submenu \"NixOS - All configurations\" --class submenu {\n".to_owned(),
            entry("NixOS - Configuration 2 (b)", "b"),
            entry("NixOS - Configuration 1 (a)", "a"),
            "}\nsubmenu \"NixOS - Profile 'golden'\" --class submenu {\n".to_owned(),
            entry("NixOS - Configuration 1 (a)", "a"),
            "}\n".to_owned(),
        ];
        machine.put("/boot/grub/grub.cfg", cfg.concat().as_bytes());
        let env = "# GRUB Environment Block\nowners=value\n";
        machine.put("/boot/grub/grubenv", format!("{env:#<1024}").as_bytes());
        machine
    }

    /// A boot begins, and GRUB has taken the one-shot back as it does.
    pub fn grub_boots(&self, number: u32, system: &str) {
        let env = self.text("/boot/grub/grubenv");
        let cleared = |line: &str| {
            if line.starts_with("next_entry=") { "next_entry=\n".to_owned() } else { line.to_owned() }
        };
        let env: String = env.split_inclusive('\n').map(cleared).collect();
        self.put("/boot/grub/grubenv", format!("{env:#<1024}").as_bytes());
        self.boot(number, system);
    }

    /// The same with U-Boot, as NixOS's installer leaves it after a switch to `b`.
    pub fn with_extlinux() -> Self {
        let machine = Self::without_loader();
        machine.put_boot_files("/boot/nixos");
        let label = |name: &str, system: &str| {
            format!(
                "\nLABEL {name}\n  MENU LABEL NixOS - {system}\n  LINUX ../nixos/{system}-kernel\n  \
                 INITRD ../nixos/{system}-initrd\n  APPEND init={}/init quiet\n",
                toplevel(system)
            )
        };
        let conf = [
            "# Generated file, all changes will be lost on nixos-rebuild!\n\n\
             # Change this to e.g. nixos-42 to temporarily boot to an older configuration.\n\
             DEFAULT nixos-default\n\nMENU TITLE ------\nTIMEOUT 50\n"
                .to_owned(),
            label("nixos-default", "b"),
            label("nixos-2-default", "b"),
            label("nixos-1-default", "a"),
        ];
        machine.put("/boot/extlinux/extlinux.conf", conf.concat().as_bytes());
        machine
    }

    /// A boot begins, as firmware, loader and stage 2 leave it.
    pub fn boot(&self, number: u32, system: &str) {
        let id = format!("{number:08x}-0000-4000-8000-000000000000\n");
        self.put("/proc/sys/kernel/random/boot_id", id.as_bytes());
        let _ = fs::remove_dir_all(self.at("/run"));
        self.link("/run/booted-system", &toplevel(system));
        let _ = fs::remove_file(self.variable("LoaderEntryOneShot"));
        self.set_variable("LoaderEntrySelected", &format!("nixos-{system}.conf"));
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Where a path of the machine is for the test.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    pub fn put(&self, path: &str, bytes: &[u8]) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), bytes).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        symlink(target, self.at(path)).unwrap();
    }

    pub fn text(&self, path: &str) -> String {
        String::from_utf8(fs::read(self.at(path)).unwrap()).unwrap()
    }

    /// The file of a variable of the boot loader interface.
    pub fn variable(&self, name: &str) -> PathBuf {
        self.at(&format!("{VARIABLES}/{name}-{VENDOR}"))
    }

    pub fn set_variable(&self, name: &str, text: &str) {
        let value = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
        fs::write(self.variable(name), [6, 0, 0, 0].into_iter().chain(value).collect::<Vec<u8>>()).unwrap();
    }

    /// The text of a variable; `None` if it is not set.
    pub fn variable_text(&self, name: &str) -> Option<String> {
        let bytes = fs::read(self.variable(name)).ok()?;
        let (units, _) = bytes[4..].as_chunks::<2>();
        let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
        Some(String::from_utf16(&units.collect::<Vec<u16>>()).unwrap())
    }

    /// Run a program on this machine.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.arg("--root").arg(self.root()).args(arguments).stdin(Stdio::null());
        command.output().unwrap()
    }
}

/// The kernel of a system.
pub fn kernel(system: &str) -> Vec<u8> {
    kernel_image(&format!("kernel of {system}"))
}

pub fn toplevel(system: &str) -> String {
    format!("/nix/store/{}-{system}", system.repeat(32))
}

/// The exit status and what was said on standard error.
pub fn status(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}
