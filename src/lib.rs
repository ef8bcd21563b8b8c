//! cramplan compiles training recipes: it knows the memory, the arithmetic and the time of every instant of a training before
//! the first second is spent, and then runs exactly what it planned.
//!
//! # The pipeline
//!
//! ```text
//! text ─parse─▶ Document ─resolve─▶ Recipe ─build─▶ StepGraphs ─cost─▶ Estimate ─judge─▶ Feasible ─lower─▶ Plan ─run─▶ Outcome
//!      syntax             recipe            step               budget            check              plan       exec → ledger
//! ```
//!
//! One stage is one folder and, in essence, one function from one named type to the next:
//!
//! | stage | function | from | to |
//! |---|---|---|---|
//! | [`syntax`] | [`syntax::parse`] | text | [`syntax::ast::Document`] and all syntax errors |
//! | | [`syntax::format()`] | text | the same in the one style |
//! | [`recipe`] | [`recipe::eval::evaluate`], [`recipe::resolve`] | document | [`recipe::settings::Recipe`] and where each field stands |
//! | [`step`] | [`step::StepGraphs::build`] | recipe | the training step as graphs of operations |
//! | [`budget`] | [`budget::estimate`](budget::estimate()) | graphs × [`device`] | [`budget::Estimate`] |
//! | [`check`] | [`check::judge`] | recipe × estimate | [`check::Feasible`], or diagnostics at the recipe's words |
//! | [`plan`] | [`plan::lower`] | feasible recipe | [`plan::Plan`]: saved, hashed, shown |
//! | | [`plan::view`] | costed recipe | a picture of memory, the peak explained, trace events |
//! | [`verify`] | [`verify::verify`](verify::verify()) | a saved plan's text | [`verify::Report`]: every law that it breaks, by none of the code above |
//! | [`sweep`] | [`sweep::Sweep::plan`], [`sweep::front()`] | a recipe and what is varied | every point planned, and the best of them |
//! | [`editor`] | [`editor::complete`], [`editor::hover`], [`editor::definition`] | text and cursor | what an editor shows there |
//! | `data` | `data::prepare` | raw text | tokenizer, token shards, batches |
//! | `exec` | `exec::run::run` | plan | a training on burn |
//! | [`ledger`] | | events | the run's directory |
//! | [`heap`] | [`heap::keep_big_buffers`] | | freed memory that stays with the process |
//! | [`cli`] | [`cli::main`] | arguments | the stages, one file a verb |
//!
//! [`pipeline::compile`] strings together everything up to the verdict. All of that is pure: no files, no clock, no
//! environment; what it needs of the world comes in as [`pipeline::Inputs`]. Arrows point downwards only, and the test
//! `arrows` reads the sources to hold that.
//!
//! # A recipe with mistakes
//!
//! Every stage goes on beside what it cannot read, so that one pass finds all mistakes and each is reported once:
//!
//! - brackets are mended before the parser sees them (`syntax::brackets`): so the parser meets only brackets that match, and the rest
//!   of the text is read as it was meant;
//! - what cannot be parsed is a `Poisoned` tree, and what it hides is marked: a struct that may have lost a field is not
//!   asked for one;
//! - a value that cannot be decoded leaves a stand-in and its path ([`recipe::decode::Places::is_known`]); the rules that need the
//!   field are silent, all others speak ([`recipe::rules`]);
//! - only a recipe without any error leaves the stage [`recipe`].
//!
//! A diagnostic has a [`diag::Code`] with a page in `grammar/errors`, and may have a [`diag::Fix`]; those that are safe are what
//! `check --fix` makes. Schema and defaults are declared once ([`recipe::schema`]): checks, "did you mean", `explain`, the reference and the JSON Schema come
//! from there. The promises that this makes are measured: `tests/mutants.rs`, `tests/mistakes.rs`, `tests/errors.rs`, `tests/laws.rs`.
//!
//! # The plan is the program
//!
//! The training step is not code in the executor. It is a [`step::graph::StepGraph`]: operations as nodes, tensors as edges,
//! in the order of execution. Four graphs make a training: the first micro-step of a step, each further one, the update,
//! and the evaluation. The gradient is a pass over the graph ([`step::differentiate`]), so what backward needs, which buffer
//! is overwritten and the operation at which a tensor dies are all known to the planner and to the executor alike.
//!
//! What backward needs of forward is kept or recomputed, by kind of operation and by quarters of the blocks ([`step::recompute`], a rewrite of
//! the graph). Micro-batch and recomputation are chosen together, exactly and monotonically ([`budget::fit`]).
//!
//! An operation is described in one place, a file of [`step::op`]: shapes, FLOPs, bytes, its workspace on the CPU and the
//! [`chain`](step::op::chain) of buffers that it is on a card, what may be overwritten, and its gradient. It is run in one place, the file of the same name in `exec::op`, in two forms:
//! a chain of burn's tensor operations for any device, and a fused kernel on the tensors' own memory for the CPU. Tests hold
//! both forms of every gradient against burn's autodiff, and the whole model against one written with burn's own functions.
//!
//! # Promises and what holds them
//!
//! - *One description*: no second definition of the model; the model in `tests/oracle.rs` is the exception, on purpose.
//! - *Exact*: parameters and FLOPs equal those of the official code of the paper, in every configuration (`tests/recipes.rs`), and its
//!   schedules to the last digits (`tests/golden.rs`); losses, gradients and steps are those of an implementation in PyTorch
//!   (`tests/parity.rs`); planned memory is compared
//!   with the real heap after every single operation (`tests/memory.rs`); what a card would be asked to do is recorded and has
//!   the plan's FLOPs and, operation by operation, its live memory (`tests/capture.rs`).
//! - *Honest*: every number of a [`device::Device`] carries its source.
//! - *Bit-exact*: draws come from [`rng`], keyed by seed, purpose, step and position; every sum has a fixed grouping; where the run stands
//!   ([`recipe::schedule::Moment`]) is the only thing that a step takes from the clock, and the journal keeps it to the last bit.
//! - *No silent switch*: a field of the schema ([`recipe::settings`]) is executed and costed, or it is not there; `tests/options.rs` changes each alone and
//!   looks for what its documentation says.
//!
//! # Where this differs from the first design
//!
//! - A strict RON recipe spells durations and sizes as newtypes, `Seconds(86400)`: the serde types of [`recipe::settings`] read and
//!   write them so, and there is no second set of types.
//! - The language server checks on its own thread of messages, without debouncing: a check takes less than a keystroke.
//! - The executor's CPU form calls the `gemm` crate for matrix products instead of burn's `flex`, which calls it too but
//!   makes every result twice (once zeroed, once copied for alignment): the copy cost time and was memory that no plan
//!   could see. The tensors are burn's all the same, and take their buffers back after each kernel.
//! - A calibration ([`device::calibration`]) is not measured operation by operation: an operation alone takes half or twice what it
//!   takes in a step. `cramplan probe` walks whole steps of small models and looks at the clock after each operation.
//!
//! # Features
//!
//! `cpu` (default) runs on burn's `flex`; `cuda` and `cuda-nvrtc` add CUDA. Without default features there is no burn and no
//! tokenizer: the language, the budget model and the planner alone.

#![cfg_attr(test, allow(clippy::float_cmp, clippy::unwrap_used, reason = "tests compare exact values and may panic"))]

pub mod budget;
pub mod check;
pub mod cli;
#[cfg(feature = "data")]
pub mod data;
pub mod device;
pub mod diag;
pub mod editor;
#[cfg(feature = "exec")]
pub mod exec;
pub mod heap;
pub mod ledger;
pub mod pipeline;
pub mod plan;
pub mod recipe;
pub mod rng;
pub mod source;
pub mod step;
pub mod sweep;
pub mod syntax;
pub mod units;
pub mod verify;
