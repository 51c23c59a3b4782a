package run

import (
	"context"
	"errors"

	"mllm4rec/data/prompt"
	"mllm4rec/data/tokenizer"
	"mllm4rec/export/llama"
	"mllm4rec/internal/fail"
	"mllm4rec/pipeline/rank"
	"mllm4rec/pipeline/worker"
)

// checkRanker opens, before the first stage starts, everything that the ranker's stages read and do not make.
func (p *pipeline) checkRanker() (err error) {
	if p.trainsRanker() {
		if err := p.checkWorker(); err != nil {
			return err
		}
		if err := p.checkGPU(); err != nil {
			return err
		}
	}
	base, err := llama.Open(p.Config.Ranker.Base)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	if err := rank.CheckPrompts(p.rankModel(), base); err != nil {
		return err
	}
	if err := p.checkVocabulary(base); err != nil || !p.trainsRanker() {
		return err
	}
	return p.rankerSpec().Validate()
}

// checkGPU makes sure that the GPU is there which ranker.device asks for.
func (p *pipeline) checkGPU() error {
	if p.Config.Ranker.Device == "cpu" {
		return nil
	}
	if err := worker.CheckGPU(context.Background(), p.Worker, p.Config.Runtime.Device); err != nil {
		return fail.Usagef("ranker.device: %w", err)
	}
	return nil
}

// checkVocabulary makes sure that the vocabulary may be the base's, and is the one that the adapter learned with.
func (p *pipeline) checkVocabulary(base *llama.Checkpoint) error {
	tok, err := tokenizer.Open(p.tokenizer())
	if err != nil {
		return err
	}
	if size := base.Config().VocabSize; tok.VocabSize() > size {
		return fail.Usagef("%s has %d tokens, the model %s knows %d: vocabulary of another model", p.tokenizer(), tok.VocabSize(), base.Path(), size)
	}
	if err := p.checkAdapter(base, tok); err != nil {
		return err
	}
	return p.checkOwnVocabulary(tok)
}

// checkOwnVocabulary compares a vocabulary from elsewhere with the one that the base brings along. Where it brings none that is
// known here there is nothing to compare with: that is what ranker.tokenizer is for.
func (p *pipeline) checkOwnVocabulary(tok *tokenizer.Tokenizer) error {
	c := p.Config.Ranker
	if c.Tokenizer == "" {
		return nil
	}
	own, err := tokenizer.Open(c.Base)
	if err != nil {
		return nil
	}
	if id, found := own.Conflict(tok); found {
		return fail.Usagef("%s: its token %d is another one than that of %s: vocabulary of another model; name the model's own in ranker.tokenizer, or leave that empty",
			c.Tokenizer, id, c.Base)
	}
	return nil
}

// checkAdapter makes sure that the adapter to start from belongs to the base, the vocabulary and, where nothing trains it, the prompt.
func (p *pipeline) checkAdapter(base *llama.Checkpoint, tok *tokenizer.Tokenizer) error {
	path := p.Config.Ranker.InitAdapter
	if path == "" {
		return nil
	}
	adapter, err := llama.ReadAdapter(path)
	if err != nil {
		return err
	}
	if err := adapter.Fits(base); err != nil {
		return fail.Usagef("%s: %w; name another in ranker.init_adapter, or none", path, err)
	}
	if made := adapter.Metadata["mllm4rec.tokenizer"]; made != "" && made != tok.Fingerprint() {
		return fail.Usagef("%s: the adapter was trained with another vocabulary than that of %s; name its own in ranker.tokenizer", path, p.tokenizer())
	}
	if p.trainsRanker() { // the training teaches it the prompt
		return nil
	}
	return p.checkTemplate(adapter)
}

// checkTemplate makes sure that an adapter is asked as it was in its training, where the file tells.
func (p *pipeline) checkTemplate(adapter *llama.Adapter) error {
	template, err := prompt.Load(p.Config.Ranker.Template)
	if err != nil {
		return err
	}
	if made := adapter.Metadata["mllm4rec.template"]; made != "" && made != template.Fingerprint() {
		return fail.Usagef("%s: the adapter was trained with another prompt than %s (its template was %s); name its own in ranker.template, or train it with this one (ranker.max_steps)",
			p.Config.Ranker.InitAdapter, template.Name(), adapter.Metadata["mllm4rec.template_name"])
	}
	return nil
}
