// Go_uses prints which files declare what each file names of other packages of a repository, by the type checker.
//
// It reads {"read": [folder...], "paths": {import path: folder}} and prints {"files": [path...], "edges": [[from, to]...]}.
// A package outside of "paths" is empty: names that come from it aren't found, and errors are passed over. What counts
// is a name qualified by its package (`money.Total`); methods aren't named so.
package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
)

type asked struct {
	Read  []string          `json:"read"`
	Paths map[string]string `json:"paths"`
}

type told struct {
	Files []string    `json:"files"`
	Edges [][2]string `json:"edges"`
}

type checker struct {
	asked asked
	files *token.FileSet
	known map[string]*types.Package
}

func (c *checker) Import(path string) (*types.Package, error) {
	if found, ok := c.known[path]; ok {
		return found, nil
	}
	folder, ok := c.asked.Paths[path]
	if !ok {
		return nil, errors.New("outside")
	}
	c.known[path] = types.NewPackage(path, "") // what imports itself in a circle finds nothing
	listed, err := build.Default.ImportDir(folder, 0)
	if err != nil && listed == nil {
		return nil, err
	}
	found, _ := c.check(path, folder, listed.GoFiles, nil)
	c.known[path] = found
	return found, nil
}

func (c *checker) check(path, folder string, names []string, uses map[*ast.Ident]types.Object) (*types.Package, []*ast.File) {
	var parsed []*ast.File
	for _, name := range names {
		if file, err := parser.ParseFile(c.files, filepath.Join(folder, name), nil, 0); err == nil {
			parsed = append(parsed, file)
		}
	}
	config := types.Config{Importer: c, Error: func(error) {}, FakeImportC: true}
	found, _ := config.Check(path, c.files, parsed, &types.Info{Uses: uses})
	return found, parsed
}

func (c *checker) edges(parsed []*ast.File, uses map[*ast.Ident]types.Object, out *told) {
	for _, file := range parsed {
		from := c.files.Position(file.Pos()).Filename
		out.Files = append(out.Files, from)
		seen := map[string]bool{}
		ast.Inspect(file, func(node ast.Node) bool {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			qualifier, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			if _, ok := uses[qualifier].(*types.PkgName); !ok {
				return true
			}
			if object := uses[selector.Sel]; object != nil && object.Pos().IsValid() {
				to := c.files.Position(object.Pos()).Filename
				if to != from && !seen[to] {
					seen[to] = true
					out.Edges = append(out.Edges, [2]string{from, to})
				}
			}
			return true
		})
	}
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	c := &checker{files: token.NewFileSet(), known: map[string]*types.Package{}}
	if err := json.Unmarshal(text, &c.asked); err != nil {
		panic(err)
	}
	out := told{Files: []string{}, Edges: [][2]string{}}
	for _, folder := range c.asked.Read {
		listed, _ := build.Default.ImportDir(folder, 0)
		if listed == nil {
			continue
		}
		within := append(append([]string{}, listed.GoFiles...), listed.TestGoFiles...)
		for _, names := range [][]string{within, listed.XTestGoFiles} {
			uses := map[*ast.Ident]types.Object{}
			_, parsed := c.check("checked", folder, names, uses)
			c.edges(parsed, uses, &out)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		panic(err)
	}
}
