"""Where samples come from. Each source talks to `VideoService.publish` and nothing below it."""
