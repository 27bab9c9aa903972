//! One virtual machine: a disk, its firmware's variables, and a QEMU process while it is on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::accelerator::Accelerator;
use crate::guest::Guest;
use crate::image::Image;
use crate::shell::{run, script};

/// Pause between two looks at the console. Nothing depends on its length.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A machine with its files in a directory of its own. Dropped, its QEMU is killed.
pub(crate) struct Machine {
    image: Image,
    directory: PathBuf,
    with_suite: bool,
    qemu: Option<Child>,
    /// How much of the console was taken by `next_line`.
    read_bytes: usize,
}

impl Machine {
    /// A new machine whose disk and variables are those of `from`, or those of the image.
    pub fn new(image: &Image, directory: PathBuf, from: Option<&Path>, with_suite: bool) -> Result<Self> {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)?;
        if let Some(from) = from {
            fs::copy(from.join("vars.fd"), directory.join("vars.fd"))?;
            overlay(image, &from.join("disk.qcow2"), "qcow2", &directory)?;
        } else {
            fs::copy(image.tools.join("usr/share/OVMF/OVMF_VARS_4M.fd"), directory.join("vars.fd"))?;
            overlay(image, &image.disk, "raw", &directory)?;
        }
        Ok(Self { image: image.clone(), directory, with_suite, qemu: None, read_bytes: 0 })
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Not in the directory: the path of a socket must be short, and a checkout may be anywhere.
    fn socket(&self) -> PathBuf {
        let name = self.directory.file_name().unwrap_or_default().to_string_lossy();
        std::env::temp_dir().join(format!("golden-vm-{}-{name}.sock", std::process::id()))
    }

    fn console(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    /// Power on.
    pub fn start(&mut self) -> Result<()> {
        self.start_with(Accelerator::of(&self.image))
    }

    /// Power on, with this accelerator.
    pub fn start_with(&mut self, accelerator: Accelerator) -> Result<()> {
        let at = |name: &str| self.directory.join(name).to_string_lossy().into_owned();
        let _ = fs::remove_file(self.socket());
        let mut qemu = tool(&self.image.tools, "qemu-system-x86_64");
        qemu.arg("-L").arg(self.image.tools.join("usr/share/qemu"));
        qemu.args(accelerator.arguments().split(' '));
        qemu.args("-machine q35,sata=off,smbus=off,usb=off".split(' '));
        qemu.args("-smp 2 -m 768 -nodefaults -display none -no-user-config".split(' '));
        qemu.args("-device virtio-rng-pci -device i6300esb -action watchdog=reset".split(' '));
        let code = self.image.tools.join("usr/share/OVMF/OVMF_CODE_4M.fd");
        qemu.args(["-drive", &format!("if=pflash,unit=0,format=raw,readonly=on,file={}", code.display())]);
        qemu.args(["-drive", &format!("if=pflash,unit=1,format=raw,file={}", at("vars.fd"))]);
        qemu.args(["-drive", &format!("if=virtio,format=qcow2,cache=unsafe,file={}", at("disk.qcow2"))]);
        if self.with_suite {
            let suite = self.image.suite.display();
            qemu.args(["-drive", &format!("if=virtio,format=raw,readonly=on,file={suite}")]);
        }
        qemu.args(["-chardev", &format!("file,id=console,append=on,path={}", at("console.log"))]);
        qemu.args(["-serial", "chardev:console"]);
        qemu.args(["-serial", &format!("unix:{},server=on,wait=off", self.socket().display())]);
        let log = fs::File::create(self.directory.join("qemu.log"))?;
        qemu.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.qemu = Some(qemu.spawn().context("cannot start QEMU")?);
        Ok(())
    }

    /// Wait for the next line of ours on the console: `golden-vm: WORDS` gives WORDS.
    pub fn next_line(&mut self, within: Duration) -> Result<String> {
        const OURS: &str = "golden-vm: ";
        let deadline = Instant::now() + within;
        loop {
            let bytes = fs::read(self.console()).unwrap_or_default();
            while let Some(length) = bytes[self.read_bytes..].iter().position(|&byte| byte == b'\n') {
                let line =
                    String::from_utf8_lossy(&bytes[self.read_bytes..self.read_bytes + length]).into_owned();
                self.read_bytes += length + 1;
                if let Some((_, words)) = line.split_once(OURS) {
                    return Ok(words.trim().to_owned());
                }
            }
            if let Some(status) =
                self.qemu.as_mut().and_then(|qemu| qemu.try_wait().transpose()).transpose()?
            {
                bail!("the machine went off ({status}) while the test waited for it");
            }
            if Instant::now() > deadline {
                bail!("the console said nothing more within {} s", within.as_secs());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Talk to the agent of the system that runs.
    pub fn guest(&self) -> Result<Guest> {
        Guest::connect(&self.socket())
    }

    /// Pull the plug: what the guest has not synced is lost.
    pub fn cut_power(&mut self) {
        if let Some(mut qemu) = self.qemu.take() {
            let _ = qemu.kill();
            let _ = qemu.wait();
        }
    }

    /// Wait until the machine has switched itself off.
    pub fn wait_off(&mut self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        let Some(mut qemu) = self.qemu.take() else { return Ok(()) };
        while qemu.try_wait()?.is_none() {
            if Instant::now() > deadline {
                let _ = qemu.kill();
                let _ = qemu.wait();
                bail!("the machine did not switch itself off within {} s", within.as_secs());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.cut_power();
        let _ = fs::remove_file(self.socket());
    }
}

/// A disk of its own on top of another one.
fn overlay(image: &Image, base: &Path, format: &str, directory: &Path) -> Result<()> {
    let disk = directory.join("disk.qcow2");
    let mut qemu_img = tool(&image.tools, "qemu-img");
    run(qemu_img.args(["create", "-q", "-f", "qcow2", "-F", format, "-b"]).arg(base).arg(disk)).map(drop)
}

/// A program of the tools tree, by that tree's own dynamic loader: nothing of it is installed on the host. It dies with
/// whoever started it.
fn tool(tools: &Path, name: &str) -> Command {
    let libraries: Vec<String> = ["usr/lib/x86_64-linux-gnu", "usr/lib"]
        .iter()
        .map(|directory| tools.join(directory).to_string_lossy().into_owned())
        .collect();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(tools.join("lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(libraries.join(":")).arg(tools.join("usr/bin").join(name));
    command.env("QEMU_MODULE_DIR", tools.join("usr/lib/x86_64-linux-gnu/qemu"));
    command
}

/// Copy ledger, history and loader.conf off the disk of a machine that is off.
pub(crate) fn salvage(image: &Image, directory: &Path) -> Result<()> {
    script(SALVAGE, &[directory, &image.tools]).map(drop)
}

/// `$1` the machine's directory, `$2` the tools.
const SALVAGE: &str = r#"
cd "$1"
loader=("$2/lib64/ld-linux-x86-64.so.2" --library-path "$2/usr/lib/x86_64-linux-gnu:$2/usr/lib")
"${loader[@]}" "$2/usr/bin/qemu-img" convert -O raw disk.qcow2 disk.raw
dd if=disk.raw of=root.raw bs=1M skip=129 conv=sparse status=none
for file in ledger.json history.jsonl; do
  debugfs -R "dump /var/lib/golden-generation/$file $file" root.raw 2>/dev/null || true
done
dd if=disk.raw of=esp.raw bs=1M skip=1 count=128 conv=sparse status=none
mcopy -n -i esp.raw ::/loader/loader.conf . 2>/dev/null || true
rm -f disk.raw root.raw esp.raw
"#;
