//! What is read of a machine again and again, read once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use golden_core::{Ledger, Toplevel};
use golden_host::simulated::{Bytes, Disk, Foreseen, Menu, Start, World, start};

use crate::explore::{LEDGER, toplevels};

/// One copy of each boot partition, and what it says.
#[derive(Default)]
pub struct Views {
    esps: HashMap<(u64, u64), Arc<Disk>>,
    partitions: HashMap<*const Disk, Partition>,
    ledgers: HashMap<*const u8, (Bytes, Option<Rc<Ledger>>)>,
}

struct Partition {
    /// Keeps the address from being used for another one.
    _disk: Arc<Disk>,
    menu: Rc<Menu>,
    bootable: Rc<Vec<Toplevel>>,
}

/// Ledgers that are kept parsed, before they are all forgotten.
const MAX_LEDGERS: usize = 4096;

impl Views {
    /// The one copy of this boot partition, if it is settled.
    pub fn intern(&mut self, disk: Arc<Disk>) -> Arc<Disk> {
        if self.partitions.contains_key(&Arc::as_ptr(&disk)) || !disk.is_settled() {
            return disk;
        }
        let identity = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            disk.files().for_each(|file| file.hash(&mut hasher));
            hasher.finish()
        };
        self.esps.entry((identity(0), identity(1))).or_insert(disk).clone()
    }

    pub fn foresee(&mut self, world: &World) -> Foreseen {
        self.partition(world).menu.foresee(world)
    }

    /// The systems that the loader can start, each once.
    pub fn bootable(&mut self, world: &World) -> Rc<Vec<Toplevel>> {
        self.partition(world).bootable.clone()
    }

    fn partition(&mut self, world: &World) -> &Partition {
        self.partitions.entry(Arc::as_ptr(&world.esp)).or_insert_with(|| {
            let boots = |toplevel: &Toplevel| {
                let started = start(&mut world.clone(), Some(toplevel));
                matches!(started, Start::Booted(choice) if choice.toplevel == *toplevel)
            };
            Partition {
                _disk: world.esp.clone(),
                menu: Rc::new(Menu::read(world)),
                bootable: Rc::new(toplevels().into_iter().filter(boots).collect()),
            }
        })
    }

    /// The ledger; `None` where there is none that can be read.
    pub fn ledger(&mut self, world: &World) -> Option<Rc<Ledger>> {
        let bytes = world.var.read(Path::new(LEDGER)).ok()?;
        if self.ledgers.len() > MAX_LEDGERS {
            self.ledgers.clear();
        }
        let parse = || (bytes.clone(), serde_json::from_slice(&bytes).ok().map(Rc::new));
        self.ledgers.entry(bytes.as_ptr()).or_insert_with(parse).1.clone()
    }
}
