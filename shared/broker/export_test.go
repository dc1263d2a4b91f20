package broker

// Pause is how long a queue that cannot be read is left alone.
var Pause = pause
