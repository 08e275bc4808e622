package heimdallplugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// The library and a job for it (its id is @ID@) come from outside: `cargo xtask test` sets both.
func TestManyGoroutinesRunJobsAndCancelSome(t *testing.T) {
	path := os.Getenv("HEIMDALL_TEST_LIBRARY")
	if path == "" {
		t.Skip("HEIMDALL_TEST_LIBRARY names no library")
	}
	job, err := os.ReadFile(os.Getenv("HEIMDALL_TEST_JOB"))
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := Open(path, func(int, string, string) {})
	if err != nil {
		t.Fatal(err)
	}
	var done, cancelled, late sync.Map
	var all sync.WaitGroup
	for g := range 64 {
		all.Go(func() {
			for n := range 100 {
				id := fmt.Sprintf("job-%d-%d", g, n)
				document := []byte(strings.Replace(string(job), "@ID@", id, 1))
				ctx, cancel := context.WithCancel(context.Background())
				switch n % 4 {
				case 1:
					time.AfterFunc(time.Millisecond, cancel)
				case 2:
					ctx, cancel = context.WithTimeout(ctx, 2*time.Millisecond)
				}
				_, err := plugin.RunJob(ctx, document, func(uint64, uint64, uint64) {})
				cancel()
				switch {
				case err == nil:
					done.Store(id, true)
				case errors.Is(err, context.Canceled):
					cancelled.Store(id, true)
				case errors.Is(err, context.DeadlineExceeded):
					late.Store(id, true)
				default:
					t.Error(err)
				}
				if err != nil && n%4 != 1 && n%4 != 2 {
					t.Errorf("%s: nobody cancelled it: %v", id, err)
				}
			}
		})
	}
	all.Wait()
	var closers sync.WaitGroup
	for range 4 {
		closers.Go(func() {
			if err := plugin.Close(5 * time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	closers.Wait()
	t.Logf("done %d, cancelled %d, late %d", size(&done), size(&cancelled), size(&late))
	if size(&done) < 64*50 || size(&cancelled) == 0 || size(&late) == 0 {
		t.Error("each way should have been taken")
	}
	if _, err := plugin.RunJob(context.Background(), []byte("{}"), nil); err == nil || !strings.HasPrefix(err.Error(), "SHUTTING_DOWN") {
		t.Errorf("after Close: %v", err)
	}
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}
