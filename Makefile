# Two commands are enough: `make demo` and `make test`. Everything lands in .venv and data folders here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
STAMP := $(VENV)/.installed
WIDGET_SOURCES := $(shell find widgets/src widgets/styles widgets/locales -type f 2>/dev/null) \
	widgets/build.mjs widgets/package-lock.json

# program=packages, joined by a plus
GSTREAMER := gstreamer1.0-tools+gstreamer1.0-plugins-base+gstreamer1.0-plugins-good
GSTREAMER := $(GSTREAMER)+gstreamer1.0-plugins-bad+gstreamer1.0-plugins-ugly+gstreamer1.0-libav
COUNTERPARTS := obs=obs-studio Xvfb=xvfb ffmpeg=ffmpeg gst-launch-1.0=$(GSTREAMER) \
	varnishd=varnish varnishstat=varnish firefox-esr=firefox-esr pulseaudio=pulseaudio \
	nginx=nginx-light+libnginx-mod-rtmp+libnginx-mod-stream

.PHONY: demo test test-slow check bench types chromium counterparts clean

demo: $(STAMP) widgets/dist/manifest.json
	@exec $(BIN)/liveshop demo --port $(PORT)

# As many workers as cores, at most four. Tests in a browser run after the others: first those that
# look at times, with nothing beside them, then the rest two at a time. Files go out in the order of
# their names: by the number of their tests, the few long ones would come last and one core would
# wait for them. With paths in ARGS it is one plain run.
ifneq ($(wildcard $(foreach arg,$(ARGS),$(firstword $(subst ::, ,$(arg))))),)
test: $(STAMP) widgets/dist/manifest.json chromium
	$(BIN)/pytest $(ARGS)
else
test: $(STAMP) widgets/dist/manifest.json chromium
	@cores=$$(getconf _NPROCESSORS_ONLN || echo 2); \
	$(BIN)/pytest -n $$((cores < 4 ? cores : 4)) --dist loadfile --no-loadscope-reorder \
		--ignore tests/e2e $(ARGS); \
	most=$$?; \
	$(BIN)/pytest tests/e2e -m 'alone and not slow' $(ARGS); alone=$$?; \
	$(BIN)/pytest tests/e2e -m 'not alone and not slow' -n 2 --dist loadfile $(ARGS); browser=$$?; \
	echo "pytest ended with $$most without a browser, with $$alone and $$browser in a browser."; \
	worst=5; \
	for code in $$most $$alone $$browser; do \
		if [ $$code != 5 ] && { [ $$worst = 5 ] || [ $$code -gt $$worst ]; }; then worst=$$code; fi; \
	done; \
	exit $$worst
endif

test-slow: $(STAMP) widgets/dist/manifest.json chromium counterparts
	$(BIN)/pytest -m slow $(ARGS)

check: $(STAMP) widgets/dist/manifest.json
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python widgets/wire_types.py --check
	$(BIN)/python widgets/build_hook.py check

bench: $(STAMP) widgets/dist/manifest.json
	@$(BIN)/python tests/bench $(NAME)

# The browser's types, written from the server's wire structs.
types: $(STAMP)
	$(BIN)/python widgets/wire_types.py

$(STAMP): pyproject.toml widgets/build_hook.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ widgets/dist/manifest.json

widgets/dist/manifest.json: $(STAMP) $(WIDGET_SOURCES)
	@$(BIN)/python widgets/build_hook.py
	@touch $@

# Browser tests drive the system's Chromium. Debian's package, where we may install it.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; \
	else \
		echo "The browser tests need Chromium. Install it: sudo apt-get install chromium" >&2; exit 1; \
	fi

# Programs that real hosts and operators use, for `make test-slow`. Tests whose program is missing
# skip aloud, and fail in CI.
counterparts:
	@missing=; \
	for pair in $(COUNTERPARTS); do \
		command -v $${pair%%=*} >/dev/null || missing="$$missing $${pair#*=}"; \
	done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			$$(echo $$missing | tr ' +' '\n\n' | sort -u); \
	else \
		echo "Some slow tests will be skipped. For all: sudo apt-get install$$(echo "$$missing" | tr + ' ')" >&2; \
	fi

clean:
	rm -rf $(VENV) widgets/node_modules widgets/dist
