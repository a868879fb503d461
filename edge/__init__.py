"""The VPS side: a rathole instance manager with real `rathole --server` processes behind it."""
