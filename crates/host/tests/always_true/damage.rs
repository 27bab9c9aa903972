//! Boot files that are damaged while a boot has to be confirmed, and programs that are killed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::Toplevel;
use golden_host::simulated::{Effect, Program, Start, World, start};

use crate::Property;
use crate::explore::{Explorer, Up};
use crate::step::Before;

/// The boot does not come up. Whichever system cannot be started any more, and wherever the program that ends the boot is killed, it
/// is left: systemd starts that program again.
pub fn strike(explorer: &mut Explorer, before: &Before, up: &Up) {
    let systems = explorer.configuration.toplevels();
    for damaged in systems.iter().map(Some).chain([None]) {
        let mut world = before.state.world.clone();
        if let Some(toplevel) = damaged {
            damage(&mut world, toplevel);
        }
        for program in [Program::Deadline, Program::Emergency] {
            let name = damaged.map_or("nothing", Toplevel::short);
            let how = format!("{} in {}, {name} damaged", up.toplevel.short(), program.name());
            let (snapshots, end, _) = explorer.run(&world, &program);
            is_left(explorer, before, &end, &how);
            for (number, snapshot) in snapshots.into_iter().enumerate() {
                // Both programs end a boot in the same way, and one of them is enough.
                if matches!(snapshot.effect, Effect::Reboot) || program == Program::Emergency {
                    continue;
                }
                let (_, end, _) = explorer.run(&snapshot.world, &program);
                is_left(explorer, before, &end, &format!("{how}, killed after effect {}", number + 1));
            }
        }
    }
}

fn is_left(explorer: &mut Explorer, before: &Before, end: &World, how: &str) {
    if end.is_safe {
        return;
    }
    if !end.reboot_asked {
        return explorer.violate(Property::ClosedIsLeft, before.id, &format!("it goes on: {how}"));
    }
    let next = start(&mut end.after_shutdown(), None);
    if !matches!(next, Start::Booted(_)) {
        explorer.violate(Property::ClosedIsLeft, before.id, &format!("it is left for {next:?}: {how}"));
    }
}

/// Neither the boot partition nor the store has the kernel of this system any more.
fn damage(world: &mut World, toplevel: &Toplevel) {
    let Some(kernel) = world.nix.read_link(&Path::new(toplevel.as_str()).join("kernel")) else { return };
    let kernel = kernel.to_owned();
    let Some(bytes) = world.nix.read(&kernel).cloned() else { return };
    let copies: Vec<PathBuf> =
        world.esp.files().filter(|(_, copy)| **copy == bytes).map(|(path, _)| path).collect();
    Arc::make_mut(&mut world.nix).remove(&kernel);
    let esp = Arc::make_mut(&mut world.esp);
    for copy in copies {
        esp.remove(&copy).unwrap();
    }
    esp.sync();
}
