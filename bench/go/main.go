// Command bench reads all pages behind a URL with aws-sdk-go-v2's typed items, makes one JSON document of them, and prints what
// that cost as one line of JSON, as every client of `cargo xtask bench` does. With a number behind the URL: by a parallel Scan in so many
// goroutines.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type result struct {
	Columns []column `json:"columns"`
	Data    [][]any  `json:"data"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 && len(os.Args) != 3 {
		log.Fatal("usage: bench URL [GOROUTINES]")
	}
	client := dynamodb.New(dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(os.Args[1]),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "bench", ""),
	})
	cpu, wall := cpuSeconds(), time.Now()
	readItems := statement
	if len(os.Args) == 3 {
		goroutines, err := strconv.Atoi(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		readItems = func(client *dynamodb.Client) ([]map[string]types.AttributeValue, error) {
			return segments(client, goroutines)
		}
	}
	items, err := readItems(client)
	if err != nil {
		log.Fatal(err)
	}
	// The rows are laid out by column and marshalled: the plain way.
	text, err := json.Marshal(table(items))
	if err != nil {
		log.Fatal(err)
	}
	cpuSpent, wallSpent := cpuSeconds()-cpu, time.Since(wall).Seconds()
	peak, err := peakBytes()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf(`{"cpu_s":%f,"wall_s":%f,"peak_bytes":%d,"wire_bytes":0,"rows":%d,"result_bytes":%d}`+"\n",
		cpuSpent, wallSpent, peak, len(items), len(text))
}

// statement fetches every page of a statement.
func statement(client *dynamodb.Client) ([]map[string]types.AttributeValue, error) {
	var items []map[string]types.AttributeValue
	input := &dynamodb.ExecuteStatementInput{
		Statement:              aws.String("SELECT * FROM bench"),
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	}
	for {
		page, err := client.ExecuteStatement(context.Background(), input)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.NextToken == nil {
			return items, nil
		}
		input.NextToken = page.NextToken
	}
}

// segments fetches every segment of a parallel Scan in a goroutine of its own.
func segments(client *dynamodb.Client, total int) ([]map[string]types.AttributeValue, error) {
	parts := make([][]map[string]types.AttributeValue, total)
	errs := make([]error, total)
	var wait sync.WaitGroup
	for number := range total {
		wait.Add(1)
		go func() {
			defer wait.Done()
			parts[number], errs[number] = segment(client, int32(number), int32(total))
		}()
	}
	wait.Wait()
	var items []map[string]types.AttributeValue
	for _, part := range parts {
		items = append(items, part...)
	}
	return items, errors.Join(errs...)
}

func segment(client *dynamodb.Client, number, total int32) ([]map[string]types.AttributeValue, error) {
	var items []map[string]types.AttributeValue
	input := &dynamodb.ScanInput{
		TableName:              aws.String("bench"),
		Segment:                aws.Int32(number),
		TotalSegments:          aws.Int32(total),
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	}
	for {
		page, err := client.Scan(context.Background(), input)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if len(page.LastEvaluatedKey) == 0 {
			return items, nil
		}
		input.ExclusiveStartKey = page.LastEvaluatedKey
	}
}

func table(items []map[string]types.AttributeValue) result {
	seen := map[string]bool{}
	for _, item := range items {
		for name := range item {
			seen[name] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	made := result{Data: make([][]any, 0, len(items))}
	for _, name := range names {
		made.Columns = append(made.Columns, column{name, "any"})
	}
	for _, item := range items {
		row := make([]any, len(names))
		for i, name := range names {
			row[i] = plain(item[name])
		}
		made.Data = append(made.Data, row)
	}
	return made
}

func plain(value types.AttributeValue) any {
	switch value := value.(type) {
	case *types.AttributeValueMemberS:
		return value.Value
	case *types.AttributeValueMemberN:
		return json.Number(value.Value)
	case *types.AttributeValueMemberBOOL:
		return value.Value
	case *types.AttributeValueMemberB:
		return value.Value
	case *types.AttributeValueMemberSS:
		return value.Value
	case *types.AttributeValueMemberNS:
		numbers := make([]json.Number, len(value.Value))
		for i, number := range value.Value {
			numbers[i] = json.Number(number)
		}
		return numbers
	case *types.AttributeValueMemberBS:
		return value.Value
	case *types.AttributeValueMemberL:
		list := make([]any, len(value.Value))
		for i, each := range value.Value {
			list[i] = plain(each)
		}
		return list
	case *types.AttributeValueMemberM:
		object := make(map[string]any, len(value.Value))
		for name, each := range value.Value {
			object[name] = plain(each)
		}
		return object
	}
	return nil
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func peakBytes() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kibibytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kibibytes * 1024, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in /proc/self/status")
}
