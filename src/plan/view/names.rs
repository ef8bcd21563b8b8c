//! What a tensor is, in words: by its role, by the operation that makes it, or by the one that uses it.

use crate::step::graph::{Node, Pass, Place, StepGraph};
use crate::step::parameter::{Kind, Parameters};
use crate::step::tensor::{Input, ParameterId, Role, TensorId};

/// Who makes and who uses each tensor of a graph.
#[derive(Debug)]
pub struct Names<'a> {
    graph: &'a StepGraph,
    parameters: &'a Parameters,
    nodes: Vec<&'a Node>,
    /// Node and output index.
    producers: Vec<Option<(usize, usize)>>,
    /// Nodes and input indices, in order of execution.
    uses: Vec<Vec<(usize, usize)>>,
}

impl<'a> Names<'a> {
    /// Looks at a graph.
    pub fn new(graph: &'a StepGraph, parameters: &'a Parameters) -> Self {
        let nodes: Vec<&Node> = graph.nodes().collect();
        let count = graph.tensors().count();
        let (mut producers, mut uses) = (vec![None; count], vec![Vec::new(); count]);
        for (n, node) in nodes.iter().enumerate() {
            node.outputs.iter().enumerate().for_each(|(i, id)| producers[id.0 as usize] = Some((n, i)));
            node.inputs.iter().enumerate().for_each(|(i, id)| uses[id.0 as usize].push((n, i)));
        }
        Self { graph, parameters, nodes, producers, uses }
    }

    /// What a tensor is, without its place: `probabilities of attention`.
    pub fn what(&self, id: TensorId) -> String {
        match self.graph.get(id).role {
            Role::Weight(p) => format!("weights: {}", self.group(p)),
            Role::Gradient(p) => format!("gradients: {}", self.group(p)),
            Role::FirstMoment(p) => format!("first moments: {}", self.group(p)),
            Role::SecondMoment(p) => format!("second moments: {}", self.group(p)),
            Role::RowMoment(p) => format!("second moments by rows: {}", self.group(p)),
            Role::ColumnMoment(p) => format!("second moments by columns: {}", self.group(p)),
            Role::PositionTable => "position table".to_owned(),
            Role::Input(input) => fed(input).to_owned(),
            Role::Activation => self.made(id),
        }
    }

    /// The node that makes a tensor; none makes what is there before the walk.
    pub fn producer(&self, id: TensorId) -> Option<&'a Node> {
        self.producers[id.0 as usize].map(|(n, _)| self.nodes[n])
    }

    /// The first operation after operation `i` that uses a tensor.
    pub fn next_use(&self, id: TensorId, i: usize) -> Option<&'a Node> {
        self.uses[id.0 as usize].iter().find(|(n, _)| *n > i).map(|(n, _)| self.nodes[*n])
    }

    fn group(&self, id: ParameterId) -> &'static str {
        match self.parameters.get(id).kind {
            Kind::Embedding => "word embedding",
            Kind::Matrix => "matrices of the blocks",
            Kind::Norm | Kind::Bias | Kind::Position => "norms, biases and places",
        }
    }

    fn made(&self, id: TensorId) -> String {
        let Some((n, output)) = self.producers[id.0 as usize] else { return "something fed in".to_owned() };
        let node = self.nodes[n];
        let word = node.op.rule().words().outputs.get(output).filter(|word| !word.is_empty()).map(|word| (*word).to_owned());
        match word.or_else(|| self.used_as(id)) {
            Some(word) if node.pass == Pass::Backward && !word.starts_with("gradient") => format!("gradient of the {word}"),
            Some(word) if node.pass == Pass::Recompute => format!("{word}, made again"),
            Some(word) => word,
            None => format!("{NAMELESS} {}", node.op.rule().name()),
        }
    }

    /// What the first operation that has a word for it calls a tensor; a sum that goes on in the same buffer is followed.
    fn used_as(&self, id: TensorId) -> Option<String> {
        self.uses[id.0 as usize].iter().find_map(|(n, input)| {
            let node = self.nodes[*n];
            let rule = node.op.rule();
            let word = rule.words().inputs.get(*input).filter(|word| !word.is_empty()).map(|word| (*word).to_owned());
            word.or_else(|| {
                let (_, output) = rule.in_place().iter().find(|(i, _)| i == input)?;
                Some(self.what(node.outputs[*output])).filter(|word| !word.starts_with(NAMELESS))
            })
        })
    }
}

/// How the name of a result begins for which nobody has a word.
const NAMELESS: &str = "result of";

/// An operation for people, a parameter by its name: `AdamW of final_norm.gain`.
pub fn operation(node: &Node, parameters: &Parameters) -> String {
    let name = node.op.rule().name();
    match node.place {
        Place::Parameter(id) => format!("{name} of {}", parameters.get(id).name()),
        place => format!("{name} in {place}"),
    }
}

fn fed(input: Input) -> &'static str {
    match input {
        Input::Tokens => "token ids",
        Input::Rows => "positions to predict",
        Input::Labels => "labels",
        Input::Weights => "weights of the loss",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::view::testing::costed;
    use crate::step::Walk;

    /// Each word with how many tensors it names: none falls through to the operation's name.
    #[test]
    fn every_tensor_has_a_name_of_its_own() {
        let costed = costed("rtx-a6000");
        let graphs = costed.graphs();
        for walk in Walk::ALL {
            let graph = graphs.walk(walk);
            let names = Names::new(graph, &graphs.parameters);
            let mut count = std::collections::BTreeMap::new();
            graph.tensors().for_each(|(id, _)| *count.entry(names.what(id)).or_insert(0) += 1);
            assert!(count.keys().all(|name| !name.starts_with(NAMELESS)), "{walk:?}: {count:?}");
            if walk == Walk::First {
                assert_eq!(count["probabilities of attention"], 2);
                assert_eq!((count["logits"], count["gradient of logits"]), (1, 1));
                assert_eq!(count["weights: matrices of the blocks"], 14);
            }
        }
    }
}
