// What the peers in Go cost: peers [MILLISECONDS]; prints as primitives.c does, `go` for one
// goroutine (processor time), `go, 2 threads` for two at one object (time on the clock).
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"
	"gopkg.in/eapache/go-resiliency.v1/breaker"
	"gopkg.in/eapache/go-resiliency.v1/retrier"
	"gopkg.in/eapache/go-resiliency.v1/semaphore"
)

const batch = 256

var errFailed = errors.New("failed")

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func succeed() error { return nil }
func fail() error    { return errFailed }

// Processor time of all threads: the collector's work is part of the price.
func processor() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func alone(length time.Duration, once func()) float64 {
	count := 0
	start := processor()
	for {
		for i := 0; i < batch; i++ {
			once()
		}
		count += batch
		if spent := processor() - start; spent >= length {
			return float64(spent) / float64(count)
		}
	}
}

func two(length time.Duration, once func()) float64 {
	var all sync.WaitGroup
	var count int64
	start := time.Now()
	for w := 0; w < 2; w++ {
		all.Add(1)
		go func() {
			defer all.Done()
			mine := int64(0)
			for time.Since(start) < length {
				for i := 0; i < batch; i++ {
					once()
				}
				mine += batch
			}
			atomic.AddInt64(&count, mine)
		}()
	}
	all.Wait()
	return float64(time.Since(start)) / float64(count)
}

func bytesOf(count int, make func(i int)) float64 {
	var before, after runtime.MemStats
	runtime.GC() // twice: what the first one finds is freed by the second
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := 0; i < count; i++ {
		make(i)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	return float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / float64(count)
}

func main() {
	length := 20 * time.Millisecond
	if len(os.Args) > 1 {
		ms, err := strconv.Atoi(os.Args[1])
		check(err)
		length = time.Duration(ms) * time.Millisecond
	}
	report := func(what, how string, once func()) {
		fmt.Printf("%s\t%s\t%.2f\tns\n", what, how, alone(length, once))
		fmt.Printf("%s\t%s, 2 threads\t%.2f\tns\n", what, how, two(length, once))
	}
	b := breaker.New(1<<62, 1, time.Second)
	report("breaker admit + report", "go eapache", func() { _ = b.Run(succeed) })
	report("breaker admit + report a failure", "go eapache", func() { _ = b.Run(fail) })
	limiter := rate.NewLimiter(rate.Limit(1e12), 1<<30)
	report("limiter try", "go x/time", func() {
		if !limiter.Allow() {
			panic("refused")
		}
	})
	sem := semaphore.New(64, time.Second)
	report("bulkhead take + give", "go eapache", func() {
		check(sem.Acquire())
		sem.Release()
	})
	r := retrier.New(retrier.ExponentialBackoff(2, 50*time.Millisecond), nil)
	report("retry around a success", "go eapache", func() { check(r.Run(succeed)) })
	var m sync.Mutex
	report("mutex lock + unlock", "go", func() {
		m.Lock()
		m.Unlock() //nolint:staticcheck // an empty section is the point
	})
	breakers := make([]*breaker.Breaker, 100000)
	fmt.Printf("breaker\tgo eapache\t%.1f\tbytes\n", bytesOf(len(breakers), func(i int) {
		breakers[i] = breaker.New(5, 1, time.Second)
	}))
	limiters := make([]*rate.Limiter, 100000)
	fmt.Printf("limiter\tgo x/time\t%.1f\tbytes\n", bytesOf(len(limiters), func(i int) {
		limiters[i] = rate.NewLimiter(100, 100)
	}))
	runtime.KeepAlive(breakers)
	runtime.KeepAlive(limiters)
}
