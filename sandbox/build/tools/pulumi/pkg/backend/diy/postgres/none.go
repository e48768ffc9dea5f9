// Package postgres registers no driver: the sandbox keeps its state in folders.
package postgres
