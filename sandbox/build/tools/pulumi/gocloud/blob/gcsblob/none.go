// Package gcsblob registers no driver, and has what Pulumi's source names of it.
package gcsblob

// Scheme is that of the real package.
const Scheme = "gs"
