package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
)

// newToken is `token new NAME`: a secret nobody can guess, and its entry for the tokens file.
func newToken(args []string, stdout io.Writer) error {
	if len(args) != 1 || args[0] == "" {
		return badUsage("token new: for whom? Give one name")
	}
	random := make([]byte, sha256.Size)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("make a secret: %w", err)
	}
	secret := hex.EncodeToString(random)
	fmt.Fprintf(stdout, "The secret, which is written nowhere else:\n\n%s\n\nIts entry for --auth.tokens-file, below `tokens:`; scopes are write, read, silence and admin:\n\n%s", secret, tokenEntry(args[0], []byte(secret)))
	return nil
}

// hashToken is `token hash FILE`: the entry for a secret that exists.
func hashToken(args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return badUsage("token hash: give the file that holds the secret")
	}
	secret, err := os.ReadFile(args[0])
	if err != nil {
		return configError{fmt.Errorf("token hash: %w", err)}
	}
	if secret = bytes.TrimSpace(secret); len(secret) == 0 {
		return configError{fmt.Errorf("token hash: %s holds no secret", args[0])}
	}
	_, err = io.WriteString(stdout, tokenEntry(args[0], secret))
	return err
}

func tokenEntry(name string, secret []byte) string {
	return fmt.Sprintf("- name: %s\n  sha256: %x\n  scopes: [read]\n", strconv.Quote(name), sha256.Sum256(secret))
}
