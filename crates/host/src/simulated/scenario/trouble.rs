//! What goes wrong on purpose.

use std::path::Path;
use std::sync::Arc;

use super::runner::{Played, Power, Runner};
use super::statement::{Damage, Trouble};
use crate::simulated::{Fate, Program, VAR};

impl Runner {
    /// Count effects from here, if this is where something is to go wrong.
    pub(super) fn prepare_trouble(&mut self, program: &Program) {
        let Some((trouble, of)) = self.trouble else { return };
        if self.counting || of.is_some_and(|name| name != program.name()) {
            return;
        }
        self.counting = true;
        self.host.set_fate(match trouble {
            Trouble::Crash { after, .. } => Fate::CrashAfter(after),
            Trouble::Fail { number, kind } => Fate::Fail(number, kind),
        });
    }

    /// A program has ended, or the power has: which?
    pub(super) fn look_for_trouble(&mut self) -> bool {
        let Some((trouble, of)) = self.trouble.filter(|_| self.counting) else { return false };
        let effects = self.host.effects();
        match trouble {
            Trouble::Crash { after, .. } if effects >= after => return true,
            Trouble::Fail { number, .. } if effects >= number => self.trouble = None,
            _ => {}
        }
        if of.is_some() || self.trouble.is_none() {
            self.host.clear_fate();
        }
        false
    }

    /// The power went in the middle of a program, as the scenario wanted it.
    pub(super) fn power_is_gone(&mut self) -> Played {
        let Some((Trouble::Crash { after, image }, _)) = self.trouble.take() else {
            return Err("the power is gone and nobody cut it".to_owned());
        };
        self.say(2, &format!("the power goes after effect {after}"));
        self.lose_power(image)
    }

    /// Come back with one of the states that the disks may be in; 1 is the one with the least of what was not
    /// synced.
    pub(super) fn lose_power(&mut self, image: usize) -> Played {
        let images = self.host.world().after_crash();
        if images.len() > 1 {
            self.say(
                2,
                &format!("not everything was synced: state {image} of {} of the disks", images.len()),
            );
        }
        let too_many = || format!("the disks can be in {} states, not in {image}", images.len());
        let chosen = images.get(image.saturating_sub(1)).ok_or_else(too_many)?;
        self.host.set_world(chosen.clone());
        self.power = Power::Off;
        Ok(())
    }

    pub(super) fn damage(&mut self, damage: Damage) -> Played {
        let path = self.ledger_path();
        match damage {
            Damage::Lost => self.host.change(|world| {
                let var = Arc::make_mut(&mut world.var);
                var.remove(&path).map_err(|_| "there is no ledger".to_owned())?;
                var.sync();
                Ok(())
            }),
            Damage::Empty => self.overwrite(&path, b""),
            Damage::Corrupt => self.overwrite(&path, b"{\"format\":1,\"min_rea\xff"),
            Damage::TooNew => self.overwrite(&path, b"{\"format\":900,\"min_reader\":900}"),
        }
    }

    pub(super) fn overwrite(&mut self, path: &Path, bytes: &[u8]) -> Played {
        self.host.change(|world| {
            let disk = if path.starts_with(VAR) { &mut world.var } else { &mut world.esp };
            let disk = Arc::make_mut(disk);
            disk.write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
            disk.sync();
            Ok(())
        })
    }
}
