//! `cramplan probe`

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::arguments::{Format, Probe};
use super::inventory::Inventory;
use super::run::{Hardware, hardware};
use super::screen::Screen;
use super::{Exit, Host, calibration, complain, print, print_json, say};
use crate::device::Device;
use crate::device::calibration::{Calibration, FORMAT, Machine, Measured};
use crate::device::law::{Entry, Kind, Work};
use crate::exec::host::memory::keep_big_buffers;
use crate::exec::probe::{Bench, Chain, Found, chains, probe as measure};
use crate::ledger::write_durably;
use crate::pipeline::{Inputs, compile};
use crate::recipe::settings::Recipe;
use crate::units::{Bytes, FlopRate, Ratio, Seconds};

/// From here on the machine is called noisy.
const NOISY: Ratio = Ratio(0.06);

/// Measures this machine and saves what it found.
pub fn probe(options: &Probe, host: Host) -> Exit {
    keep_big_buffers();
    let inventory = match Inventory::load() {
        Ok(inventory) => inventory,
        Err(broken) => return broken.refuse(options.format == Format::Json),
    };
    let Ok(hardware) = hardware(&options.device, &inventory) else { return Exit::Invalid };
    let machine = calibration::identity(&hardware.planned, &hardware.model);
    let recipes: Vec<Recipe> = chains().filter_map(|chain| recipe(chain, &hardware.planned)).collect();
    say(&format!(
        "measuring {} with {} small models, up to a minute; what else runs now makes it look slow",
        machine.model,
        recipes.len()
    ));
    let found = match found(&recipes, &hardware, machine.threads, host) {
        Ok(found) => found,
        Err(error) => {
            complain(&error.to_string());
            return Exit::Failed;
        }
    };
    let calibration = calibration_of(machine, found.clone());
    let saved = save(&calibration);
    match options.format {
        Format::Json => print_json(&json!({"calibration": calibration, "chains": found.chains})),
        Format::Text => print(&table(&calibration, &found)),
    }
    match saved {
        Ok(path) => {
            say(&format!("saved to `{path}`; from now on `check`, `plan` and `run` go by it"));
            Exit::Success
        }
        Err(why) => {
            complain(&why);
            say("help: name a directory that you may write to as `CRAMPLAN_HOME`");
            Exit::Failed
        }
    }
}

fn found(recipes: &[Recipe], hardware: &Hardware, threads: u64, host: Host) -> Result<Found, crate::exec::Error> {
    let bench = Bench {
        device: &hardware.device,
        form: hardware.form,
        threads,
        memory: Bytes(hardware.planned.memory.value.0 / 2),
        directory: Path::new("."),
    };
    let mut screen = Screen::new(host);
    let found = measure(recipes, &bench, &mut |share| screen.preparing("measuring", share));
    screen.close();
    found
}

/// The recipe of a chain, compiled as any other.
fn recipe(chain: Chain, machine: &Device) -> Option<Recipe> {
    let mut read = |_: &str, _: &str| Err("nothing is imported".to_owned());
    let inputs = Inputs {
        entry: ("probe".to_owned(), chain.recipe()),
        read: &mut read,
        overrides: &[],
        machine: machine.clone(),
        known: &[],
        asked: Some(machine.name.clone()),
    };
    Some(compile(inputs).verdict?.costed().recipe.clone())
}

fn calibration_of(machine: Machine, found: Found) -> Calibration {
    let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let Found { kinds, error, noise, disk, took, .. } = found;
    Calibration { format: FORMAT, machine, at, took, error, noise, disk, kinds }
}

/// Saves a calibration; gives the path, or why not.
fn save(calibration: &Calibration) -> Result<String, String> {
    let path = calibration::file(&calibration.machine).ok_or("this user has no home directory to keep it in")?;
    let parent = path.parent().unwrap_or(Path::new("."));
    let written = std::fs::create_dir_all(parent).and_then(|()| write_durably(&path, calibration.save().as_bytes()));
    written.map(|()| path.display().to_string()).map_err(|e| format!("`{}` cannot be written: {e}", path.display()))
}

/// What was found, kind by kind.
fn table(calibration: &Calibration, found: &Found) -> String {
    let mut out = format!(
        "{}, {} threads: {} in {}\n\n",
        calibration.machine.model,
        calibration.machine.threads,
        calibration.at,
        Seconds(found.took)
    );
    let _ = writeln!(out, "{:24} {:>6} {:>12} {:>12}   largest", "operation", "shapes", "fastest", "slowest");
    for (kind, Measured { entries, .. }) in &calibration.kinds {
        let seconds = |pick: fn(f64, f64) -> f64, from: f64| entries.iter().map(|e| e.seconds).fold(from, pick);
        let (least, most) = (seconds(f64::min, f64::MAX), seconds(f64::max, 0.0));
        let name = format!("{kind:?}");
        let _ = writeln!(
            out,
            "{name:24} {:>6} {:>12} {:>12}   {}",
            entries.len(),
            Seconds(least).to_string(),
            Seconds(most).to_string(),
            largest(*kind, entries)
        );
    }
    let disk = calibration.disk.map_or("not measured: nothing can be written here".to_owned(), |rate| rate.to_string());
    let _ = writeln!(out, "\ndisk        {disk}, syncs included");
    let _ = writeln!(out, "noise       {} from walk to walk", calibration.noise);
    let _ = writeln!(out, "error       {} at most in nine of ten steps that the laws did not know", calibration.error);
    if calibration.noise > NOISY {
        out += "\nthe machine is busy or its clock unsteady: measure again when nothing else runs\n";
    }
    out
}

/// The largest shape of a kind, with its rate where it is a product.
fn largest(kind: Kind, entries: &[Entry]) -> String {
    let Some(entry) = entries.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds)) else { return String::new() };
    let extents: Vec<String> = entry.extents.iter().filter(|x| **x > 0).map(u64::to_string).collect();
    let flops = Work { kind, extents: entry.extents }.terms(1)[4] * 2.0;
    let rate = if kind.is_product() { format!(": {}", FlopRate(flops / entry.seconds)) } else { String::new() };
    extents.join(" × ") + &rate
}
