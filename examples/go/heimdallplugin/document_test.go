package heimdallplugin

import (
	"context"
	"errors"
	"testing"
)

func TestAJobWithoutAnIdGetsOneAndKeepsItsText(t *testing.T) {
	for _, c := range []struct{ job, want, id string }{
		{`{"id":"a","context":{}}`, `{"id":"a","context":{}}`, "a"},
		{` { "context": {"id": 5} }`, ` {"id":"heimdallplugin-1", "context": {"id": 5} }`, "heimdallplugin-1"},
		{`{}`, `{"id":"heimdallplugin-2"}`, "heimdallplugin-2"},
		{`{"ID":"b"}`, `{"id":"heimdallplugin-3","ID":"b"}`, "heimdallplugin-3"},
		{`{"id":null}`, `{"id":null}`, ""},
		{`null`, `null`, ""},
		{`[{}]`, `[{}]`, ""},
		{`{`, `{`, ""},
		{``, ``, ""},
	} {
		job, id := withID([]byte(c.job))
		if string(job) != c.want || id != c.id {
			t.Errorf("withID(%s) = %s, %q", c.job, job, id)
		}
	}
}

func TestErrorsAreWhatGoCallsThem(t *testing.T) {
	for code, want := range map[string]error{"CANCELLED": context.Canceled, "TIMEOUT": context.DeadlineExceeded} {
		err := newError(1, []byte(`{"error":{"code":"`+code+`","message":"m","hint":null}}`))
		if !errors.Is(err, want) || err.Error() != code+": m" {
			t.Errorf("%v is not %v", err, want)
		}
	}
	if err := newError(1, nil); err == nil {
		t.Error("no document is an error too")
	}
}
