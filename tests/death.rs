//! Losing nothing: runs that are killed, interrupted and replayed.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Place, events, json, small};
use cramplan::rng::{Purpose, Stream};

/// Waits a moment, then kills the process as `kill -9` does; whether it was still running.
fn kill_after(child: &mut std::process::Child, moment: Duration) -> bool {
    std::thread::sleep(moment);
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    running
}

fn weights(run: &Path) -> String {
    json(&run.join("outcome.json"))["weights"].as_str().unwrap().to_owned()
}

/// The last step in a run's record; 0 before the first.
fn last_step(place: &Place) -> u64 {
    let text = place.runs().first().and_then(|run| std::fs::read_to_string(run.join("metrics.jsonl")).ok()).unwrap_or_default();
    let steps = text.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    steps.filter(|event| event["event"] == "step").find_map(|event| event["step"].as_u64()).unwrap_or(0)
}

/// Waits until a run has done some steps.
fn wait_for_step(place: &Place, child: &mut std::process::Child, step: u64) {
    while last_step(place) < step {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before step {step}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Twenty deaths at random instants of a run that saves after every step: whatever is hit, the resumed run ends with the
/// weights of one that was never disturbed. The first lives end before or soon after the first step, the others spread
/// over the run.
#[test]
fn twenty_kills_and_resumptions_end_with_the_undisturbed_weights() {
    const STEPS: u64 = 1500;
    let recipe = small("steps: 1500", "checkpoint: Checkpoint(every: 1),");
    let calm = Place::with(&recipe);
    calm.succeed(&["run"]);

    let place = Place::with(&recipe);
    let stream = Stream::new(20, Purpose::Order);
    let mut child = place.spawn(&["run"]);
    for life in 0..20 {
        if life >= 3 {
            wait_for_step(&place, &mut child, STEPS * life / 21);
        }
        let moment = stream.below(0, life, if life < 3 { 80 } else { 15 });
        assert!(kill_after(&mut child, Duration::from_millis(moment)), "the run ended before it was killed twenty times");
        // Killed before it had a directory: then there is nothing to resume, and it starts anew.
        child = match place.runs().first() {
            Some(run) => place.spawn(&["run", "--resume", run.to_str().unwrap()]),
            None => place.spawn(&["run"]),
        };
    }
    assert!(child.wait().unwrap().success());
    let run = place.runs().remove(0);
    assert!(events(&run, "resume").len() >= 10, "most lives went on from a checkpoint");
    assert_eq!(weights(&run), weights(&calm.runs()[0]));
}

#[test]
fn a_run_against_the_clock_is_replayed_to_the_bit_after_a_death() {
    let place = Place::with(&small("time: 4s", "checkpoint: Checkpoint(every: 300ms),"));
    let mut child = place.spawn(&["run"]);
    wait_for_step(&place, &mut child, 3);
    assert!(kill_after(&mut child, Duration::from_secs(1)));
    let run = place.runs().remove(0);
    place.succeed(&["run", "--resume", run.to_str().unwrap()]);
    assert_eq!(events(&run, "resume").len(), 1);
    let output = place.run(&["run", "--replay", run.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("the replay is identical"), "{said}");
    assert_eq!(weights(&run), weights(&place.runs()[1]));
}

/// Tokens that were made from other text mean other words: a run does not go on with them.
#[test]
fn a_run_is_not_resumed_with_other_text() {
    let recipe = small("steps: 100000", "").replace("Synthetic(4000)", "Text(\"*.txt\")").replace("vocab: 512", "vocab: 64");
    let place = Place::with(&recipe);
    let text = "the quick brown fox jumps over the lazy dog while seven wizards box with five jugs of liquor\n\n";
    std::fs::write(place.path().join("a.txt"), text.repeat(300)).unwrap();
    let mut child = place.spawn(&["run"]);
    wait_for_step(&place, &mut child, 1);
    assert!(kill_after(&mut child, Duration::from_millis(50)));
    std::fs::write(place.path().join("b.txt"), text.repeat(10)).unwrap();
    let run = place.runs().remove(0);
    for mode in ["--resume", "--replay"] {
        let output = place.run(&["run", mode, run.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains("is not what this run was begun with"), "{mode}: {said}");
    }
}

#[test]
fn a_record_with_a_gap_is_not_replayed() {
    let place = Place::with(&small("steps: 3", ""));
    place.succeed(&["run"]);
    let metrics = place.runs()[0].join("metrics.jsonl");
    let text = std::fs::read_to_string(&metrics).unwrap();
    let kept: Vec<&str> =
        text.lines().filter(|line| !line.contains("\"step\":2,\"progress\"") || line.contains("evaluation")).collect();
    std::fs::write(&metrics, kept.join("\n")).unwrap();
    let output = place.run(&["run", "--replay", place.runs()[0].to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("lacks step 2"), "{said}");
}

/// Asks a process to stop as Ctrl-C does.
fn interrupt(child: &std::process::Child) {
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn an_interrupted_run_is_saved_says_how_to_go_on_and_ends_with_the_same_weights() {
    let recipe = small("steps: 1500", "");
    let calm = Place::with(&recipe);
    calm.succeed(&["run"]);
    let place = Place::with(&recipe);
    let mut command = place.command(&["run"]);
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for_step(&place, &mut child, 1);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("go on with `cramplan run --resume"), "{said}");
    let run = place.runs().remove(0);
    place.succeed(&["run", "--resume", run.to_str().unwrap()]);
    assert_eq!(weights(&run), weights(&calm.runs()[0]));
    // Once more: there is nothing left to do.
    let again = place.run(&["run", "--resume", run.to_str().unwrap()]);
    assert!(again.status.success() && String::from_utf8_lossy(&again.stderr).contains("nothing to resume"));
}
