//! The simulated machine as the programs see it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use golden_core::Event;

use super::disk::Bytes;
use super::effect::{Effect, Fate, Said, Snapshot};
use super::files::is_below;
use super::world::{ESP, Lie, VAR, World};
use crate::operation::Options;
use crate::{Comparison, Ended, Host, Limits, LockGuard, Output};

/// A [`Host`] that counts effects, can crash after any of them and can make any of them fail.
pub struct SimulatedHost {
    world: RefCell<World>,
    /// How the programs that others start are configured.
    options: RefCell<Options>,
    held: RefCell<BTreeSet<PathBuf>>,
    effects: Cell<u64>,
    fate: Cell<Option<Fate>>,
    crashed: Cell<bool>,
    record: RefCell<Option<Vec<Snapshot>>>,
    meanwhile: RefCell<Option<(u64, Meanwhile)>>,
    said: RefCell<Vec<Said>>,
    clock_secs: Cell<u64>,
    reuses_generations: Cell<bool>,
    taught: RefCell<BTreeMap<&'static str, Answer>>,
}

/// What a program of the machine answers that nobody simulates.
pub type Answer = Box<dyn Fn(&SimulatedHost, &[&str]) -> io::Result<Output>>;

/// Another program that runs in the middle of this one.
pub type Meanwhile = Box<dyn FnOnce(&SimulatedHost)>;

impl SimulatedHost {
    /// A host that works on `world`.
    #[must_use]
    pub fn new(world: World, options: Options) -> Self {
        Self {
            world: RefCell::new(world),
            options: RefCell::new(options),
            held: RefCell::default(),
            effects: Cell::new(0),
            fate: Cell::new(None),
            crashed: Cell::new(false),
            record: RefCell::new(None),
            meanwhile: RefCell::new(None),
            said: RefCell::default(),
            clock_secs: Cell::new(0),
            reuses_generations: Cell::new(false),
            taught: RefCell::default(),
        }
    }

    /// Have a program on the machine that is not simulated: this is what it answers.
    pub fn teach(&self, program: &'static str, answer: Answer) {
        self.taught.borrow_mut().insert(program, answer);
    }

    pub(super) fn answer(&self, program: &str, arguments: &[&str]) -> Option<io::Result<Output>> {
        Some(self.taught.borrow().get(program)?(self, arguments))
    }

    /// How the programs on it are configured.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options.borrow().clone()
    }

    /// Configure the programs.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.options.borrow_mut());
    }

    /// Let something go wrong; effects are counted from here.
    pub fn set_fate(&self, fate: Fate) {
        self.effects.set(0);
        self.fate.set(Some(fate));
    }

    /// Keep what the machine holds after every effect from here on.
    pub fn record(&self) {
        *self.record.borrow_mut() = Some(Vec::new());
    }

    /// What was recorded.
    pub fn recorded(&self) -> Vec<Snapshot> {
        self.record.borrow_mut().take().unwrap_or_default()
    }

    /// Run `program` right after the effect with this number, counted from 1 and from here.
    pub fn meanwhile(&self, after: u64, program: Meanwhile) {
        self.effects.set(0);
        *self.meanwhile.borrow_mut() = Some((after, program));
    }

    /// Nothing goes wrong any more.
    pub fn clear_fate(&self) {
        self.fate.set(None);
    }

    /// Effects so far.
    #[must_use]
    pub fn effects(&self) -> u64 {
        self.effects.get()
    }

    /// Whether the power is gone.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.crashed.get()
    }

    /// A copy of what the machine holds now.
    #[must_use]
    pub fn world(&self) -> World {
        self.world.borrow().clone()
    }

    /// Put the machine into another state, with the power on.
    pub fn set_world(&self, world: World) {
        *self.world.borrow_mut() = world;
        self.crashed.set(false);
        self.fate.set(None);
        self.held.borrow_mut().clear();
    }

    /// Change the machine from outside: firmware, a person, the kernel. No effect of a program.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.borrow_mut())
    }

    /// What was said since the last call.
    pub fn said(&self) -> Vec<Said> {
        self.said.take()
    }

    /// Set the clock, in seconds since 1970. Only ever shown.
    pub fn set_clock(&self, secs: u64) {
        self.clock_secs.set(secs);
    }

    /// From here on, a profile that had a generation of a system goes back to it, as `nix-env --switch-generation`
    /// does, instead of making another one. So the machine has a bounded number of states.
    pub fn reuse_generations(&self) {
        self.reuses_generations.set(true);
    }

    pub(super) fn reuses_generations(&self) -> bool {
        self.reuses_generations.get()
    }

    /// Do one thing, unless the power is gone or it is bound to fail.
    pub(super) fn effect<T>(
        &self,
        effect: impl Fn() -> Effect,
        apply: impl FnOnce(&mut World) -> io::Result<T>,
    ) -> io::Result<T> {
        self.powered()?;
        let number = self.effects.get() + 1;
        match self.fate.get() {
            Some(Fate::CrashAfter(last)) if number > last => {
                self.crashed.set(true);
                return Err(power_is_gone());
            }
            Some(Fate::Fail(failing, kind)) if number == failing => {
                self.effects.set(number);
                return Err(kind.into());
            }
            Some(Fate::Full(kind)) if effect().grows_below(VAR) => return Err(kind.into()),
            _ => {}
        }
        let done = apply(&mut self.world.borrow_mut())?;
        self.effects.set(number);
        if let Some(record) = self.record.borrow_mut().as_mut() {
            record.push(Snapshot { effect: effect(), world: self.world() });
        }
        let due = self.meanwhile.borrow().as_ref().is_some_and(|(after, _)| *after == number);
        if due && let Some((_, program)) = self.meanwhile.take() {
            program(self);
        }
        Ok(done)
    }

    fn powered(&self) -> io::Result<()> {
        if self.crashed.get() { Err(power_is_gone()) } else { Ok(()) }
    }

    fn bytes(&self, path: &Path) -> io::Result<Bytes> {
        self.powered()?;
        self.world.borrow().bytes(path)
    }
}

fn power_is_gone() -> io::Error {
    io::Error::other("the simulated machine has lost its power")
}

impl Host for SimulatedHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.bytes(path)?.to_vec())
    }

    fn read_part(&self, path: &Path, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let all = self.bytes(path)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| all.get(offset..)).unwrap_or_default();
        Ok(rest[..rest.len().min(bytes)].to_vec())
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(self.bytes(path)?.len() as u64)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.powered()?;
        let world = self.world.borrow();
        let path = world.resolve(path, false)?;
        match world.tree_of(&path).read_link(&path) {
            Some(target) => Ok(target.to_owned()),
            None if world.bytes(&path).is_ok() || world.tree_of(&path).exists(&path) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.powered()?;
        let world = self.world.borrow();
        let directory = world.resolve(directory, true)?;
        if is_below(&directory, VAR) {
            world.var.list(&directory)
        } else if is_below(&directory, ESP) {
            world.boot_partition()?.list(&directory)
        } else {
            world.tree_of(&directory).list(&directory).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    fn compare(&self, left: &Path, right: &Path) -> io::Result<Comparison> {
        let (left, right) = (self.bytes(left)?, self.bytes(right)?);
        Ok(if left == right {
            Comparison::Same
        } else if right.starts_with(&left) {
            Comparison::Longer
        } else {
            Comparison::Different
        })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.effect(
            || Effect::Write(path.to_owned()),
            |world| {
                if is_below(path, "/run") {
                    Arc::make_mut(&mut world.volatile).write(path, bytes);
                    return Ok(());
                }
                world.with_disk(path, |disk| disk.write(path, bytes))
            },
        )
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.effect(
            || Effect::Append(path.to_owned()),
            |world| world.with_disk(path, |disk| disk.append(path, bytes)),
        )
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.effect(
            || Effect::Overwrite(path.to_owned()),
            |world| {
                if world.lie == Some(Lie::IgnoresWrites) && is_below(path, ESP) {
                    return Ok(());
                }
                world.with_disk(path, |disk| disk.overwrite(path, bytes))
            },
        )
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let bytes = self.bytes(from)?;
        self.effect(
            || Effect::Copy(to.to_owned()),
            |world| world.with_disk(to, |disk| disk.write(to, &bytes)),
        )
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.effect(
            || Effect::Rename(to.to_owned()),
            |world| {
                if is_below(from, "/run") && is_below(to, "/run") {
                    let bytes = world.bytes(from)?;
                    let volatile = Arc::make_mut(&mut world.volatile);
                    volatile.remove(from);
                    volatile.write(to, &bytes);
                    return Ok(());
                }
                world.with_disk(from, |disk| disk.rename(from, to))
            },
        )
    }

    fn link(&self, target: &Path, path: &Path) -> io::Result<()> {
        self.effect(
            || Effect::Link(path.to_owned()),
            |world| {
                let tree = if is_below(path, "/nix") { &mut world.nix } else { &mut world.volatile };
                Arc::make_mut(tree).link(path, target);
                Ok(())
            },
        )
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.effect(
            || Effect::Remove(path.to_owned()),
            |world| {
                if is_below(path, "/run") {
                    let was_there = Arc::make_mut(&mut world.volatile).remove(path);
                    return was_there.then_some(()).ok_or_else(|| io::ErrorKind::NotFound.into());
                }
                world.with_disk(path, |disk| disk.remove(path))
            },
        )
    }

    fn create_directory(&self, path: &Path, _mode: u32) -> io::Result<()> {
        if is_below(path, "/run") || is_below(path, "/nix") {
            return self.powered();
        }
        if self.list(path).is_ok() {
            return Ok(());
        }
        self.effect(
            || Effect::CreateDirectory(path.to_owned()),
            |world| {
                world.with_disk(path, |disk| {
                    disk.create_directory(path);
                    Ok(())
                })
            },
        )
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.sync(&Effect::SyncFile(path.to_owned()), path, |disk| disk.sync_file(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.sync(&Effect::SyncDirectory(path.to_owned()), path, |disk| disk.sync_directory(path))
    }

    fn sync_file_system(&self, path: &Path) -> io::Result<()> {
        self.sync(&Effect::SyncFileSystem(path.to_owned()), path, |disk| {
            disk.sync();
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard + '_>> {
        self.powered()?;
        let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        if is_below(path, VAR) {
            self.world.borrow().var.list(directory)?;
        }
        if !self.held.borrow_mut().insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Held { host: self, path: path.to_owned() }))
    }

    fn efi_read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.powered()?;
        let world = self.world.borrow();
        world.with_variables()?;
        Ok(world.told_by_loader.get(name).or_else(|| world.variables.get(name)).cloned())
    }

    fn efi_write(&self, name: &str, value: &[u8]) -> io::Result<()> {
        self.effect(
            || Effect::SetVariable(name.to_owned()),
            |world| {
                world.with_variables()?;
                if !world.forgets {
                    Arc::make_mut(&mut world.variables).insert(name.to_owned(), value.to_vec());
                }
                Ok(())
            },
        )
    }

    fn efi_remove(&self, name: &str) -> io::Result<()> {
        self.effect(
            || Effect::RemoveVariable(name.to_owned()),
            |world| {
                world.with_variables()?;
                Arc::make_mut(&mut world.variables).remove(name);
                Ok(())
            },
        )
    }

    fn firmware_boots(&self) -> io::Result<Option<u32>> {
        self.powered()?;
        Ok(self.world.borrow().firmware_boots)
    }

    fn run_within(&self, limits: Limits, program: &Path, arguments: &[&str]) -> io::Result<Ended> {
        let Output { success, stdout, stderr } = self.run(program, arguments)?;
        if stdout.len().max(stderr.len()) > limits.output_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Ended { status: Some(i32::from(!success)), stdout, stderr })
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> io::Result<Output> {
        self.powered()?;
        self.run_program(program, arguments)
    }

    fn reboot(&self) -> io::Result<()> {
        self.effect(
            || Effect::Reboot,
            |world| {
                world.reboot_asked = true;
                Ok(())
            },
        )
    }

    fn tell(&self, event: &Event) {
        if !self.crashed.get() {
            self.said.borrow_mut().push(Said::Told(event.clone()));
        }
    }

    fn complain(&self, trouble: crate::Trouble, text: &str) {
        if !self.crashed.get() {
            self.said.borrow_mut().push(Said::Complained(trouble, text.to_owned()));
        }
    }

    fn report(&self, delivery: crate::Delivery, text: &str) {
        if !self.crashed.get() {
            self.said.borrow_mut().push(Said::Reported(delivery, text.to_owned()));
        }
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.clock_secs.get())
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock_secs.get())
    }
}

impl World {
    fn with_variables(&self) -> io::Result<()> {
        if self.has_variables { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }
}

impl SimulatedHost {
    fn sync(
        &self,
        effect: &Effect,
        path: &Path,
        sync: impl FnOnce(&mut super::Disk) -> io::Result<()>,
    ) -> io::Result<()> {
        self.effect(
            || effect.clone(),
            |world| {
                if is_below(path, "/run") || is_below(path, "/nix") {
                    return Ok(());
                }
                world.with_disk(path, sync)
            },
        )
    }
}

struct Held<'a> {
    host: &'a SimulatedHost,
    path: PathBuf,
}

impl LockGuard for Held<'_> {}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.host.held.borrow_mut().remove(&self.path);
    }
}
