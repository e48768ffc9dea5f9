// Package postgres registers no driver: the sandbox keeps its state in folders and on S3 servers.
package postgres
