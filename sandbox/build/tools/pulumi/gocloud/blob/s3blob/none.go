// Package s3blob registers no driver: the sandbox keeps its state in folders.
package s3blob
