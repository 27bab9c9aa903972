//! One virtual machine: a disk, its firmware's variables, and a QEMU process while it is on.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::accelerator::Accelerator;
use crate::guest::Guest;
use crate::image::{Firmware, Image};
use crate::qmp::Qmp;
use crate::shell::{run, script};

/// Pause between two looks at the console. Nothing depends on its length.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

const SOCKETS: [&str; 3] = ["agent", "console", "qmp"];

/// A machine with its files in a directory of its own. Dropped, its QEMU is killed.
pub(crate) struct Machine {
    image: Image,
    directory: PathBuf,
    options: Options,
    qemu: Option<Child>,
    qmp: Option<Qmp>,
    /// Boots under QEMU processes that are gone.
    earlier_boots: usize,
    /// How much of the console was taken by `next_line`.
    read_bytes: usize,
}

/// What a machine has beside its disk.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// The disk with our programs and units.
    pub suite: bool,
    /// A network card; what this port of the host is sent goes to the machine's port 22.
    pub ssh_port: Option<u16>,
    /// A network card, by which the machine reaches every port of the host, at 10.0.2.2.
    pub reaches_host: bool,
}

impl Machine {
    /// A new machine whose disk and variables are those of `from`, or those of the image.
    pub fn new(image: &Image, directory: PathBuf, from: Option<&Path>, options: Options) -> Result<Self> {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)?;
        let variables = match from {
            Some(from) => from.join("vars.fd"),
            None => image.tools.join("usr/share/OVMF/OVMF_VARS_4M.fd"),
        };
        fs::copy(variables, directory.join("vars.fd"))?;
        match from {
            Some(from) => overlay(image, &from.join("disk.qcow2"), "qcow2", &directory)?,
            None => overlay(image, &image.disk, "raw", &directory)?,
        }
        Ok(Self {
            image: image.clone(),
            directory,
            options,
            qemu: None,
            qmp: None,
            earlier_boots: 0,
            read_bytes: 0,
        })
    }

    pub fn firmware(&self) -> Firmware {
        self.image.firmware
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Not in the directory: the path of a socket must be short, and a checkout may be anywhere.
    fn socket(&self, of: &str) -> PathBuf {
        let name = self.directory.file_name().unwrap_or_default().to_string_lossy();
        std::env::temp_dir().join(format!("golden-vm-{}-{name}.{of}", std::process::id()))
    }

    /// How often the firmware has started the machine: at each power-on and each reset.
    pub fn boots(&mut self) -> Result<usize> {
        // SeaBIOS answers a reset with another one, which brings its own memory back.
        let each = if self.image.firmware == Firmware::Bios { 2 } else { 1 };
        let resets = self.qmp.as_mut().map(|qmp| qmp.count("RESET")).transpose()?;
        Ok(self.earlier_boots + resets.map_or(0, |resets| resets.div_ceil(each) + 1))
    }

    /// How often the watchdog has reset this machine since it was switched on.
    pub fn watchdog_resets(&mut self) -> Result<usize> {
        self.qmp.as_mut().map_or(Ok(0), |qmp| qmp.count("WATCHDOG"))
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
        for socket in SOCKETS {
            let _ = fs::remove_file(self.socket(socket));
        }
        let mut qemu = self.command(accelerator);
        let log = fs::File::create(self.directory.join("qemu.log"))?;
        qemu.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.qemu = Some(qemu.spawn().context("cannot start QEMU")?);
        self.qmp = Some(Qmp::connect(&self.socket("qmp"))?);
        Ok(())
    }

    fn command(&self, accelerator: Accelerator) -> Command {
        let at = |name: &str| self.directory.join(name).to_string_lossy().into_owned();
        let mut qemu = tool(&self.image.tools, "qemu-system-x86_64");
        qemu.arg("-L").arg(self.image.tools.join("usr/share/qemu"));
        qemu.arg("-L").arg(self.image.tools.join("usr/share/seabios"));
        qemu.args(accelerator.arguments().split(' '));
        qemu.args("-machine q35,sata=off,smbus=off,usb=off".split(' '));
        qemu.args("-smp 2 -m 768 -nodefaults -display none -no-user-config".split(' '));
        qemu.args("-device virtio-rng-pci -device i6300esb -action watchdog=reset".split(' '));
        if self.image.firmware == Firmware::Efi {
            let code = self.image.tools.join("usr/share/OVMF/OVMF_CODE_4M.fd");
            qemu.args([
                "-drive",
                &format!("if=pflash,unit=0,format=raw,readonly=on,file={}", code.display()),
            ]);
            qemu.args(["-drive", &format!("if=pflash,unit=1,format=raw,file={}", at("vars.fd"))]);
        }
        qemu.args(["-drive", &format!("if=virtio,format=qcow2,cache=unsafe,file={}", at("disk.qcow2"))]);
        if self.options.suite {
            let suite = self.image.suite.display();
            qemu.args(["-drive", &format!("if=virtio,format=raw,readonly=on,file={suite}")]);
        }
        let Options { ssh_port, reaches_host, .. } = self.options;
        if ssh_port.is_some() || reaches_host {
            let ssh = ssh_port.map(|port| format!(",hostfwd=tcp:127.0.0.1:{port}-:22")).unwrap_or_default();
            let restrict = if reaches_host { "off" } else { "on" };
            qemu.args(["-netdev", &format!("user,id=net,restrict={restrict}{ssh}")]);
            qemu.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        }
        // What is said while nobody listens is in the log all the same.
        let (socket, log) = (self.socket("console"), at("console.log"));
        let console = format!("socket,id=console,path={},server=on,wait=off", socket.display());
        qemu.args(["-chardev", &format!("{console},logfile={log},logappend=on")]);
        qemu.args(["-serial", "chardev:console"]);
        for (option, socket) in [("-serial", "agent"), ("-qmp", "qmp")] {
            qemu.args([option, &format!("unix:{},server=on,wait=off", self.socket(socket).display())]);
        }
        qemu
    }

    /// Type at the console.
    pub fn type_line(&self, text: &str) -> Result<()> {
        let mut console = UnixStream::connect(self.socket("console")).context("cannot reach the console")?;
        Ok(console.write_all(format!("{text}\n").as_bytes())?)
    }

    /// Wait for the next line of ours on the console: `golden-vm: WORDS` gives WORDS.
    pub fn next_line(&mut self, within: Duration) -> Result<String> {
        self.next_after("golden-vm: ", within)
    }

    /// Wait for a line on the console with these words in it; what follows them comes back.
    pub fn next_after(&mut self, words: &str, within: Duration) -> Result<String> {
        let deadline = Instant::now() + within;
        loop {
            let bytes = fs::read(self.console()).unwrap_or_default();
            while let Some(length) = bytes[self.read_bytes..].iter().position(|&byte| byte == b'\n') {
                let line =
                    String::from_utf8_lossy(&bytes[self.read_bytes..self.read_bytes + length]).into_owned();
                self.read_bytes += length + 1;
                if let Some((_, rest)) = line.split_once(words) {
                    // The kernel may have its own say before the end of the line.
                    let ours = rest.split('[').next().unwrap_or_default();
                    return Ok(ours.trim().to_owned());
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
        Guest::connect(&self.socket("agent"))
    }

    /// Pull the plug: what the guest has not synced is lost.
    pub fn cut_power(&mut self) {
        self.end_of_process();
        if let Some(mut qemu) = self.qemu.take() {
            let _ = qemu.kill();
            let _ = qemu.wait();
        }
    }

    fn end_of_process(&mut self) {
        // What cannot be asked any more was not counted.
        self.earlier_boots = self.boots().unwrap_or(self.earlier_boots);
        self.qmp = None;
    }

    /// Wait until the machine has switched itself off.
    pub fn wait_off(&mut self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        self.end_of_process();
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
        for socket in SOCKETS {
            let _ = fs::remove_file(self.socket(socket));
        }
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
    let root_at_mib = if image.firmware == Firmware::Bios { "2" } else { "129" };
    script(SALVAGE, &[directory, &image.tools, Path::new(root_at_mib)]).map(drop)
}

/// `$1` the machine's directory, `$2` the tools, `$3` where its root file system begins, in MiB.
const SALVAGE: &str = r#"
cd "$1"
loader=("$2/lib64/ld-linux-x86-64.so.2" --library-path "$2/usr/lib/x86_64-linux-gnu:$2/usr/lib")
"${loader[@]}" "$2/usr/bin/qemu-img" convert -O raw disk.qcow2 disk.raw
dd if=disk.raw of=root.raw bs=1M skip="$3" conv=sparse status=none
# What was written last is still in its journal.
e2fsck -p root.raw >/dev/null 2>&1 || true
for file in ledger.json history.jsonl; do
  debugfs -R "dump /var/lib/golden-generation/$file $file" root.raw 2>/dev/null || true
done
debugfs -R "dump /boot/grub/grubenv grubenv" root.raw 2>/dev/null || true
dd if=disk.raw of=esp.raw bs=1M skip=1 count=128 conv=sparse status=none
mcopy -n -i esp.raw ::/loader/loader.conf . 2>/dev/null || true
rm -f disk.raw root.raw esp.raw
"#;
