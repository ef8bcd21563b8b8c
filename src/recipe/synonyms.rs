//! What other tools call our fields and variants: data alone, for the help of unknown names.
//!
//! Invariant: every path is one of the schema, and no foreign name is a name of ours, so that a field which merely stands in the wrong
//! struct is explained as that.

/// A field's name elsewhere, and the dotted path of ours. A path that ends in a field of a variant, such as `lr.peak_at`, names the variant's
/// field by the path under which it is reported.
pub const FIELD_SYNONYMS: &[(&str, &str)] = &[
    // cramming (Geiping & Goldstein): the groups and keys of its Hydra configuration.
    ("arch", "model"),
    ("train", "optimizer"),
    ("num_transformer_layers", "model.depth"),
    ("hidden_dim", "model.width"),
    ("intermed_size", "model.feed_forward.intermediate"),
    ("microbatch_size", "micro_batch"),
    ("batch_size_ramp", "batch.until"),
    ("gradient_clipping", "optimizer.clip"),
    ("limited_decay_keys", "optimizer.decay"),
    ("optim", "optimizer"),
    ("cooldown_steps", "lr.cooldown"),
    ("scheduler", "lr"),
    ("seq_length", "model.sequence"),
    ("sparse_prediction", "objective.prediction"),
    ("validation_seqs", "evaluation.sequences"),
    ("base_seed", "seed"),
    // Hugging Face: configurations of its BERT.
    ("hidden_size", "model.width"),
    ("num_hidden_layers", "model.depth"),
    ("num_attention_heads", "model.heads"),
    ("intermediate_size", "model.feed_forward.intermediate"),
    ("max_position_embeddings", "model.sequence"),
    ("vocab_size", "data.tokenizer.vocab"),
    ("layer_norm_eps", "model.norm.eps"),
    ("initializer_range", "model.init.std"),
    // Hugging Face: arguments of its trainer and its collator.
    ("learning_rate", "lr"),
    ("lr_scheduler_type", "lr"),
    ("per_device_train_batch_size", "micro_batch"),
    ("train_batch_size", "batch"),
    ("gradient_accumulation_steps", "batch"),
    ("max_grad_norm", "optimizer.clip"),
    ("adam_beta1", "optimizer.betas"),
    ("adam_beta2", "optimizer.betas"),
    ("adam_epsilon", "optimizer.eps"),
    ("warmup_ratio", "lr.warmup"),
    ("warmup_steps", "lr.warmup"),
    ("num_warmup_steps", "lr.warmup"),
    ("num_cycles", "lr.cycles"),
    ("min_lr_rate", "lr.end"),
    ("max_steps", "budget.steps"),
    ("eval_steps", "evaluation.every"),
    ("save_steps", "checkpoint.every"),
    ("save_total_limit", "checkpoint.keep"),
    ("output_dir", "name"),
    ("run_name", "name"),
    ("gradient_checkpointing", "recompute"),
    ("mlm_probability", "objective.rate"),
    ("max_seq_length", "model.sequence"),
    // nanoGPT and other models of the GPT family.
    ("n_embd", "model.width"),
    ("n_layer", "model.depth"),
    ("n_head", "model.heads"),
    ("block_size", "model.sequence"),
    ("context_length", "model.sequence"),
    ("max_iters", "budget.steps"),
    ("warmup_iters", "lr.warmup"),
    ("cooldown_iters", "lr.cooldown"),
    ("min_lr", "lr.end"),
    ("grad_clip", "optimizer.clip"),
    ("eval_interval", "evaluation.every"),
    ("beta1", "optimizer.betas"),
    ("beta2", "optimizer.betas"),
    // PyTorch and the letters of "Attention Is All You Need".
    ("d_model", "model.width"),
    ("nhead", "model.heads"),
    ("num_encoder_layers", "model.depth"),
    ("dim_feedforward", "model.feed_forward.intermediate"),
    ("d_ff", "model.feed_forward.intermediate"),
    ("max_norm", "optimizer.clip"),
    ("eta_min", "lr.end"),
    ("milestones", "lr.points"),
    // JAX, T5 and fairseq.
    ("remat", "recompute"),
    ("checkpoint_activations", "recompute"),
    ("emb_dim", "model.width"),
    ("mlp_dim", "model.feed_forward.intermediate"),
    ("num_heads", "model.heads"),
    ("encoder_embed_dim", "model.width"),
    ("encoder_layers", "model.depth"),
    ("clip_norm", "optimizer.clip"),
    ("max_update", "budget.steps"),
    ("warmup_updates", "lr.warmup"),
    ("num_decay_steps", "lr.cooldown"),
    ("num_stable_steps", "lr.cooldown"),
    ("end_lr", "lr.end"),
    // What people write from memory.
    ("num_layers", "model.depth"),
    ("n_layers", "model.depth"),
    ("layers", "model.depth"),
    ("n_heads", "model.heads"),
    ("dim", "model.width"),
    ("embedding_dim", "model.embedding.table_width"),
    ("ffn_dim", "model.feed_forward.intermediate"),
    ("ffn", "model.feed_forward"),
    ("mlp", "model.feed_forward"),
    ("seq_len", "model.sequence"),
    ("max_length", "model.sequence"),
    ("dataset", "data"),
    ("corpus", "data"),
    ("norm_scheme", "model.placement"),
    ("hidden_dropout_prob", "model.dropout.branches"),
    ("attention_probs_dropout_prob", "model.dropout.probabilities"),
    ("rotary_embedding", "model.positions"),
    ("norm_eps", "model.norm.eps"),
    ("norm_first", "model.placement"),
    ("pos_embedding", "model.positions"),
    ("position_embedding_type", "model.positions"),
    ("type_vocab_size", "model.token_types"),
    ("tie_weights", "model.embedding.tied"),
    ("tie_word_embeddings", "model.embedding.tied"),
    ("embedding_size", "model.embedding.table_width"),
    ("qkv_bias", "model.biases.qkv"),
    ("use_bias", "model.biases.dense"),
    ("decoder_bias", "model.biases.decoder"),
    ("nonlin", "model.feed_forward.activation"),
    ("hidden_act", "model.feed_forward.activation"),
    ("skip_head_transform", "model.head.transform"),
    ("causal_attention", "model.attention.causal"),
    ("rope_theta", "model.positions.theta"),
    ("mask_rate", "objective.rate"),
    ("mask_probability", "objective.rate"),
    ("mask_prob", "objective.rate"),
    ("batch_size", "batch"),
    ("global_batch_size", "batch"),
    ("schedule", "lr"),
    ("max_lr", "lr.peak"),
    ("epsilon", "optimizer.eps"),
    ("wd", "optimizer.weight_decay"),
    ("eval", "evaluation"),
    ("checkpointing", "checkpoint"),
    ("activation_checkpointing", "recompute"),
    ("val_split", "data.validation"),
    ("test_size", "data.validation"),
    ("gpu", "budget.device"),
    ("vram", "budget.memory"),
    ("max_memory", "budget.memory"),
    ("hours", "budget.time"),
    ("max_time", "budget.time"),
    ("time_limit", "budget.time"),
    ("max_tokens", "budget.tokens"),
    ("max_flops", "budget.flops"),
    ("random_seed", "seed"),
    ("warmup_tokens", "lr.warmup"),
    ("warmup_epochs", "lr.warmup"),
    ("decay_steps", "lr.cooldown"),
    ("compat", "counting"),
];

/// Fields by which other programs take over another file: Hydra's defaults, bases of mmcv, Docker's and GitLab's includes, ESLint's extends.
pub const IMPORT_FIELDS: &[&str] = &[
    "defaults",
    "base",
    "_base_",
    "base_config",
    "extends",
    "include",
    "includes",
    "import",
    "imports",
    "inherit",
    "inherits",
    "from",
    "parent",
];

/// Fields by which other programs say what a struct is: Hydra's, and those of tagged unions.
pub const TYPE_FIELDS: &[&str] = &["_target_", "type", "_type", "kind", "class", "class_name", "_class"];

/// A variant's or a struct's name elsewhere, or the text that stands for it there, and ours.
pub const VARIANT_SYNONYMS: &[(&str, &str)] = &[
    // cramming
    ("budget-triangle2", "Triangle"),
    ("triangle2", "Triangle"),
    ("budget-triangle1", "Triangle"),
    ("one-cycle", "Triangle"),
    ("budget-one-cycle", "Triangle"),
    ("budget-constant", "Trapezoid"),
    ("budget-dive", "Trapezoid"),
    ("budget-dive-slow", "Trapezoid"),
    ("budget-dive-fast", "Trapezoid"),
    ("budget-linear", "Linear"),
    ("cosine-decay", "Cosine"),
    ("budget-cosine-decay", "Cosine"),
    ("budget-cosine-annealing", "CosineRestarts"),
    ("inv-cosine", "InverseCosine"),
    ("budget-inv-cosine", "InverseCosine"),
    ("polynomial-decay", "Polynomial"),
    ("budget-polynomial", "Polynomial"),
    ("budget-inverse-sqrt", "InverseSqrt"),
    ("budget-ramp", "Ramp"),
    ("budget-multi-cycle", "MultiCycle"),
    ("compat", "Official"),
    ("ScriptableLM", "Encoder"),
    ("GELUglu", "Glu"),
    ("GEGLU", "Glu"),
    ("scaled-sinusoidal", "ScaledSinusoidal"),
    // Hugging Face
    ("BertConfig", "Encoder"),
    ("BertModel", "Encoder"),
    ("BertForMaskedLM", "Encoder"),
    ("adamw_torch", "AdamW"),
    ("adamw_torch_fused", "AdamW"),
    ("adamw_hf", "AdamW"),
    ("lion_32bit", "Lion"),
    ("adafactor", "Adafactor"),
    ("constant_with_warmup", "Trapezoid"),
    ("cosine_with_restarts", "CosineRestarts"),
    ("warmup_stable_decay", "Trapezoid"),
    ("TrainingArguments", "Recipe"),
    // PyTorch
    ("TransformerEncoder", "Encoder"),
    ("OneCycleLR", "Triangle"),
    ("ConstantLR", "Constant"),
    ("LinearLR", "Linear"),
    ("PolynomialLR", "Polynomial"),
    ("CosineAnnealingLR", "Cosine"),
    ("CosineAnnealingWarmRestarts", "CosineRestarts"),
    ("CyclicLR", "MultiCycle"),
    ("MultiStepLR", "Piecewise"),
    // What people write from memory.
    ("Bert", "Encoder"),
    ("Transformer", "Encoder"),
    ("MLM", "MaskedLm"),
    ("MaskedLanguageModeling", "MaskedLm"),
    ("AdamL2", "Adam"),
    ("SGD", "Sgd"),
    ("LAMB", "Lamb"),
    ("RectifiedAdam", "RAdam"),
    ("OneCycle", "Triangle"),
    ("Triangular", "Triangle"),
    ("Fixed", "Constant"),
    ("WSD", "Trapezoid"),
    ("Dive", "Trapezoid"),
    ("CosineAnnealing", "Cosine"),
    ("SGDR", "CosineRestarts"),
    ("Noam", "InverseSqrt"),
    ("rsqrt", "InverseSqrt"),
    ("PiecewiseLinear", "Piecewise"),
    ("LN", "LayerNorm"),
    ("pre", "PreNorm"),
    ("post", "PostNorm"),
    ("pre_ln", "PreNorm"),
    ("post_ln", "PostNorm"),
    ("swish", "Silu"),
    ("gelu_new", "GeluTanh"),
    ("RoPE", "Rotary"),
    ("ALBERT", "Encoder"),
    ("Gaussian", "Normal"),
    ("All", "Everything"),
    ("NoBias", "ExceptBiases"),
    ("NoBiasNoNorm", "ExceptNorms"),
    ("MatricesOnly", "Only"),
    ("Dataset", "Corpus"),
    ("File", "Text"),
    ("Files", "Text"),
    ("NFD", "StripAccents"),
    ("LowerCase", "Lowercase"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::schema::{RecordInfo, TypeInfo, homes_of};
    use super::super::settings::Recipe;
    use super::*;

    static ROOT: RecordInfo = Recipe::INFO;

    fn structs(record: &'static RecordInfo, found: &mut BTreeSet<&'static str>) {
        found.insert(record.name);
        record.fields.iter().for_each(|field| variants((field.ty)(), found));
    }

    fn variants(ty: TypeInfo, found: &mut BTreeSet<&'static str>) {
        match ty {
            TypeInfo::Record(record) => structs(record, found),
            TypeInfo::Choice(choice) => choice.variants.iter().for_each(|variant| structs(variant, found)),
            TypeInfo::List(item) => variants(item(), found),
            _ => (),
        }
    }

    #[test]
    fn every_path_is_one_of_the_schema_and_no_foreign_name_is_ours() {
        let mut seen = BTreeSet::new();
        for (foreign, path) in FIELD_SYNONYMS {
            let name = path.rsplit('.').next().unwrap();
            assert!(homes_of(name, &ROOT).iter().any(|home| home == path), "there is no `{path}`");
            assert!(homes_of(foreign, &ROOT).is_empty(), "`{foreign}` is a field of ours");
            assert!(seen.insert(foreign), "`{foreign}` stands here twice");
        }
    }

    #[test]
    fn every_variant_is_one_of_the_schema_and_no_foreign_name_is_ours() {
        let (mut ours, mut seen) = (BTreeSet::new(), BTreeSet::new());
        structs(&ROOT, &mut ours);
        for (foreign, variant) in VARIANT_SYNONYMS {
            assert!(ours.contains(variant), "there is no `{variant}`");
            assert!(!ours.contains(foreign), "`{foreign}` is a variant of ours");
            assert!(seen.insert(foreign), "`{foreign}` stands here twice");
        }
    }
}
