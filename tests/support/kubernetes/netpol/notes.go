package main

import (
	"os"
	"path/filepath"
	"strings"

	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// notedPods is the informer of pods, whose look-up by address knows the notes of the CNI chain.
type notedPods struct {
	coreinformers.PodInformer
	notes string
}

func (p notedPods) Informer() cache.SharedIndexInformer {
	return notedInformer{p.PodInformer.Informer(), p.notes}
}

type notedInformer struct {
	cache.SharedIndexInformer
	notes string
}

func (i notedInformer) GetIndexer() cache.Indexer {
	return notedIndexer{i.SharedIndexInformer.GetIndexer(), i.notes}
}

type notedIndexer struct {
	cache.Indexer
	notes string
}

func (x notedIndexer) ByIndex(index, value string) ([]any, error) {
	note, err := os.ReadFile(filepath.Join(x.notes, filepath.Base(value)))
	if err != nil {
		return x.Indexer.ByIndex(index, value)
	}
	key, _, _ := strings.Cut(strings.TrimSpace(string(note)), " ")
	if pod, known, err := x.GetByKey(key); err == nil && known {
		return []any{pod}, nil
	}
	return x.Indexer.ByIndex(index, value)
}
