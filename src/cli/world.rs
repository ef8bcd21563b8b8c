//! Facts of the world outside: files, this machine, the command line's wishes.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::json;

use super::arguments::Choice;
use super::inventory::Inventory;
use super::{Exit, calibration, complain, print_json, say};
use crate::device::{Cache, Device, DeviceKind, HostFacts, Sourced, cpu};
use crate::diag::Code;
use crate::ledger::write_durably;
use crate::pipeline::{Compilation, Inputs, compile};
use crate::plan::Facts;
use crate::units::Bytes;
use crate::verify::format::Origin;

/// A recipe that could not be opened.
#[derive(Debug)]
pub struct Unreadable {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub why: std::io::Error,
}

impl Unreadable {
    /// Says so, to a person or to a program.
    pub fn refuse(&self, as_json: bool) -> Exit {
        let (message, help) = self.message();
        if as_json {
            let diagnostic = json!({"code": Code::Unreadable.as_str(), "severity": "error", "message": message, "help": help,
                "file": self.path, "start": 0, "end": 0, "line": 1, "column": 1, "labels": []});
            print_json(&json!({"recipe": null, "feasible": false, "diagnostics": [diagnostic]}));
        } else {
            complain(&message);
            say(&format!("help: {help}"));
        }
        Exit::Invalid
    }

    /// What is wrong, and a way out.
    pub fn message(&self) -> (String, String) {
        let path = self.path.display();
        if self.why.kind() == std::io::ErrorKind::Unsupported {
            return (format!("`{path}` is {}", self.why), format!("`cramplan run {path}` runs it; name the recipe here"));
        }
        let help = if self.why.kind() == std::io::ErrorKind::NotFound && self.path == Path::new("recipe.ron") {
            "`cramplan init` writes a first recipe here; or name one: `cramplan check recipes/quickstart.ron`".to_owned()
        } else if self.why.kind() == std::io::ErrorKind::InvalidData {
            "a recipe is text in UTF-8; is this the right file?".to_owned()
        } else {
            "check the path".to_owned()
        };
        (format!("`{path}` cannot be read: {}", self.why), help)
    }
}

/// Compiles the recipe of a command line on this machine.
///
/// # Errors
/// Where the recipe cannot be read.
pub fn compile_choice(choice: &Choice, inventory: &Inventory) -> Result<Compilation, Unreadable> {
    compile_over(choice, inventory, &Texts::new())
}

/// Texts that stand for those of files, by the files' names.
pub type Texts = BTreeMap<String, String>;

/// Compiles the recipe of a command line with some texts in place of the files'.
///
/// # Errors
/// Where the recipe cannot be read.
pub fn compile_over(choice: &Choice, inventory: &Inventory, texts: &Texts) -> Result<Compilation, Unreadable> {
    read_over(choice, inventory, texts, compile)
}

/// Reads the recipe of a command line and hands it on.
///
/// # Errors
/// Where the recipe cannot be read.
pub fn read_choice<T>(choice: &Choice, inventory: &Inventory, then: impl FnOnce(Inputs<'_>) -> T) -> Result<T, Unreadable> {
    read_over(choice, inventory, &Texts::new(), then)
}

fn read_over<T>(
    choice: &Choice,
    inventory: &Inventory,
    texts: &Texts,
    then: impl FnOnce(Inputs<'_>) -> T,
) -> Result<T, Unreadable> {
    let unreadable = |why| Unreadable { path: choice.recipe.clone(), why };
    let read_text =
        |path: &Path| texts.get(&plain(path).display().to_string()).map_or_else(|| read_text(path), |text| Ok(text.clone()));
    let text = read_text(&choice.recipe).map_err(unreadable)?;
    if is_plan(&text) {
        return Err(unreadable(std::io::Error::new(std::io::ErrorKind::Unsupported, "a saved plan, not a recipe")));
    }
    let mut read = |path: &str, importer: &str| {
        let target = plain(&Path::new(importer).parent().unwrap_or(Path::new("")).join(path));
        let text = read_text(&target).map_err(|e| format!("`{}` cannot be read: {e}", target.display()))?;
        Ok((target.display().to_string(), text))
    };
    Ok(then(Inputs {
        entry: (plain(&choice.recipe).display().to_string(), text),
        read: &mut read,
        overrides: &choice.set,
        machine: inventory.machine.clone(),
        known: &inventory.known,
        asked: choice.device.clone(),
    }))
}

/// The directory of what the user tells this program once for all recipes: `$CRAMPLAN_HOME`, else `cramplan` in
/// `$XDG_CONFIG_HOME`, else in `~/.config`. It need not be there.
pub fn home() -> Option<PathBuf> {
    home_by(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

fn home_by(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let configuration = || variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    variable("CRAMPLAN_HOME").or_else(|| configuration().map(|directory| directory.join("cramplan")))
}

/// Whether a text is a saved plan.
pub fn is_plan(text: &str) -> bool {
    text.trim_start().starts_with("Plan(")
}

/// The text of a file.
///
/// # Errors
/// Where it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    let bytes = std::fs::read(path)?;
    String::from_utf8(bytes).map_err(|e| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to()))
    })
}

/// Whether a file is there and may not be written.
pub fn is_read_only(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.permissions().readonly())
}

/// Puts a text in the place of a file's, which keeps its permissions; a link stays a link.
///
/// # Errors
/// Where it is read-only or cannot be written.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path: PathBuf = std::fs::canonicalize(path)?;
    let permissions = std::fs::metadata(&path)?.permissions();
    if permissions.readonly() {
        return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    write_durably(&path, text.as_bytes())?;
    std::fs::set_permissions(&path, permissions)
}

/// A path without detours, so that a file has one name: `recipes/../base.ron` is `base.ron`.
pub fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => (),
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            // Above the root there is the root.
            Component::ParentDir if plain.has_root() => (),
            part => plain.push(part),
        }
    }
    plain
}

/// The processor's name for people.
fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    field(&cpuinfo, "model name").unwrap_or("unknown processor").to_owned()
}

/// This machine's CPU, with what was measured of it.
pub fn machine() -> Device {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    calibration::applied(unmeasured(&cpuinfo), &model(&cpuinfo))
}

/// The model of this machine's CPU.
#[cfg(feature = "exec")]
pub fn machine_model() -> String {
    model(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
}

/// The processor's name, and where they are told its family and model: clouds show one name for many processors.
fn model(cpuinfo: &str) -> String {
    let name = field(cpuinfo, "model name").unwrap_or("unknown processor");
    match (field(cpuinfo, "cpu family"), field(cpuinfo, "model\t")) {
        (Some(family), Some(model)) => format!("{name}, family {family} model {model}"),
        _ => name.to_owned(),
    }
}

fn unmeasured(cpuinfo: &str) -> Device {
    let model = field(cpuinfo, "model name").unwrap_or("unknown processor").to_owned();
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    cpu(&HostFacts {
        model,
        threads,
        clock: clock(cpuinfo),
        avx512: avx512(),
        halved: halved(cpuinfo),
        avx2: avx2(),
        memory: memory(),
        caches: caches(),
    })
}

/// AMD's family 25 is Zen 3 and Zen 4.
fn halved(cpuinfo: &str) -> bool {
    field(cpuinfo, "vendor_id") == Some("AuthenticAMD") && field(cpuinfo, "cpu family") == Some("25")
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

/// The nominal clock; where the system only tells the highest or the present one, that.
fn clock(cpuinfo: &str) -> Option<Sourced<f64>> {
    for name in ["base_frequency", "cpuinfo_max_freq"] {
        let path = format!("/sys/devices/system/cpu/cpu0/cpufreq/{name}");
        if let Some(khz) = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<f64>().ok()) {
            return Some(Sourced::new(khz * 1e3, path));
        }
    }
    let mhz: f64 = field(cpuinfo, "cpu MHz")?.parse().ok()?;
    (mhz > 100.0).then(|| Sourced::new(mhz * 1e6, "/proc/cpuinfo"))
}

#[cfg(target_arch = "x86_64")]
fn avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
}

#[cfg(target_arch = "x86_64")]
fn avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn avx512() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn avx2() -> bool {
    false
}

/// The caches of data of the first processor; the bytes of a level are shared out among its threads, but not those of the last, as
/// `gemm` does it.
fn caches() -> Option<[Cache; 3]> {
    let directory = Path::new("/sys/devices/system/cpu/cpu0/cache");
    let mut found = [None; 3];
    for entry in std::fs::read_dir(directory).ok()?.flatten() {
        let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default().trim().to_owned();
        let number = |name: &str| read(name).parse::<u64>().ok();
        let (Some(level), true) = (number("level"), ["Data", "Unified"].contains(&read("type").as_str())) else { continue };
        let share = if level == 3 { 1 } else { sharers(&read("shared_cpu_list")).max(1) };
        if let Some(slot) = found.get_mut(level.wrapping_sub(1) as usize) {
            let (ways, line) = (number("ways_of_associativity")?, number("coherency_line_size")?);
            *slot = Some(Cache { bytes: size(&read("size"))? / share, ways, line });
        }
    }
    let [Some(first), Some(second), Some(third)] = found else { return None };
    Some([first, second, third])
}

/// How many processors a list names: `0-3,8`.
fn sharers(list: &str) -> u64 {
    let count = |range: &str| match range.split_once('-') {
        Some((from, to)) => Some(to.parse::<u64>().ok()?.checked_sub(from.parse().ok()?)? + 1),
        None => range.parse::<u64>().ok().map(|_| 1),
    };
    list.split(',').filter_map(count).sum()
}

/// Bytes of a size like `48K`.
fn size(text: &str) -> Option<u64> {
    let unit = |c| [('K', 10), ('M', 20), ('G', 30)].into_iter().find_map(|(name, bits)| (name == c).then_some(bits));
    match text.chars().last().and_then(unit) {
        Some(bits) => Some(text[..text.len() - 1].parse::<u64>().ok()? << bits),
        None => text.parse().ok(),
    }
}

/// Memory of this machine, or of the control group where that is less.
fn memory() -> Sourced<Bytes> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = field(&meminfo, "MemTotal").and_then(|v| v.trim_end_matches(" kB").trim().parse::<u64>().ok());
    let group = group_files().into_iter().find_map(|path| {
        let bytes = std::fs::read_to_string(&path).ok()?.trim().parse::<u64>().ok()?;
        Some((path, bytes))
    });
    match (total, group) {
        (Some(kib), Some((path, bytes))) if bytes < kib * 1024 => Sourced::new(Bytes(bytes), path),
        (Some(kib), _) => Sourced::new(Bytes(kib * 1024), "/proc/meminfo"),
        (None, _) => Sourced::new(Bytes::gib(4), "assumed: this system does not tell its memory"),
    }
}

/// Where the limit of this process's control group may stand: its own group first, then the root as a container sees it.
fn group_files() -> Vec<String> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).filter(|path| !path.is_empty());
    let own = own.map(|path| format!("/sys/fs/cgroup/{path}/memory.max"));
    let root = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"].map(str::to_owned);
    own.into_iter().chain(root).collect()
}

/// Memory that is free for a new program now; Linux only.
#[cfg(feature = "exec")]
pub fn available_memory() -> Option<Bytes> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = field(&meminfo, "MemAvailable")?.trim_end_matches(" kB").trim().parse().ok()?;
    Some(Bytes(kib * 1024))
}

/// Peak of this process's resident memory since [`reset_resident_peak`]; Linux only.
#[cfg(feature = "exec")]
pub fn resident_peak() -> Option<Bytes> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib: u64 = field(&status, "VmHWM")?.trim_end_matches(" kB").trim().parse().ok()?;
    Some(Bytes(kib * 1024))
}

/// Begins to observe the resident memory anew; where the system does not let us, the peak is that of the whole process.
#[cfg(feature = "exec")]
pub fn reset_resident_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Where a recipe lies, and what is replaced in it: for its plan.
pub fn origin(recipe: &Path, overrides: &[String]) -> Origin {
    let name = recipe.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Origin { base: base(recipe), recipe: name, overrides: overrides.to_vec() }
}

/// What a plan for a device states of this machine.
pub fn facts(device: &Device) -> Facts {
    let on_cpu = matches!(device.kind, DeviceKind::Cpu { .. });
    Facts { data: None, processor: on_cpu.then(processor) }
}

/// The directory of a recipe, absolute, for the paths in it.
fn base(recipe: &Path) -> String {
    let parent = recipe.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_directory_is_the_first_that_is_named() {
        let at = |set: &[(&str, &str)]| {
            home_by(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value)))
        };
        let all = [("HOME", "/h"), ("XDG_CONFIG_HOME", "/x"), ("CRAMPLAN_HOME", "/c")];
        assert_eq!(at(&all), Some(PathBuf::from("/c")));
        assert_eq!(at(&all[..2]), Some(PathBuf::from("/x/cramplan")));
        assert_eq!(at(&all[..1]), Some(PathBuf::from("/h/.config/cramplan")));
        assert_eq!(at(&[]), None);
    }
}
