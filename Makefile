# Every target makes .venv by itself (packaging/prepare; quick when nothing changed). PYTHON=python3.x chooses the interpreter.

BIN := .venv/bin
AS_ROOT := $(filter 0,$(shell id -u))
NATIVE := $(wildcard daosup/shm/*.c)
NATIVE_FLAGS := -std=c11 -O2 -Wall -Wextra -Wconversion -Werror -DPy_LIMITED_API=0x03090000
PYTHON_H = $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')

# An installed daosup has its bytecode beside it; without it every command and every worker would be compiled anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help ready run test tools beside quick packed check lint clang types contracts unit property integration e2e bench scale faults situations \
	soak build deb rpm packages-check packages-test packages-lock clean

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do \
		printf '  make %-14s %s\n' "$$target" "$$text"; done

ready: ## Make or refresh .venv: interpreter, dependencies, C extension
	@packaging/prepare

run: ready ## Show two hosts that share segments, on this machine
	$(BIN)/python -m daosup.demo

test: check tools ## All checks and all tests; those of whole hosts only as root
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target quick packed COMPRESSION=fast
	@$(MAKE) --no-print-directory $(if $(AS_ROOT),--jobs=2) integration beside
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory e2e; \
	else echo "tests/e2e: whole hosts are not tried, for only root can boot them (sudo make e2e)"; fi

# What no test can do without, or would be skipped without.
tools: ready
	@command -v zsh >/dev/null || packaging/apt-install zsh || test -z "$$CI"

# Daemons, which `integration` tries, wait most of the time. The packages are looked at meanwhile, in what they leave of the
# processor, and what is found is shown at the end. Only root can give each of both semaphores of its own.
beside: ready
	@mkdir -p build; \
	nice -n 19 $(MAKE) --no-print-directory --jobs=1 clang packages-check packages-test COMPRESSION=fast \
		>build/beside.log 2>&1; code=$$?; cat build/beside.log; exit $$code

quick: ready
	$(BIN)/python -m pytest tests/unit tests/property

packed:
	@$(MAKE) --no-print-directory deb
	@$(MAKE) --no-print-directory rpm
	@tests/e2e/build

check: lint types contracts ## lint, types and contracts

lint: ready ## ruff's rules and format; the C compiler's warnings as errors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@for source in $(NATIVE); do \
		echo "$(CC) $(NATIVE_FLAGS) $$source"; \
		$(CC) $(NATIVE_FLAGS) -isystem "$(PYTHON_H)" -c -o /dev/null "$$source" || exit 1; done
	$(CC) -std=c11 -O2 -Wall -Wextra -Wconversion -Werror -fsyntax-only bench/bare/*.c

clang: ready ## Clang's warnings as errors, of the compiler that packages are made with
	@packaging/prepare-tools
	@mkdir -p build; for source in $(NATIVE); do \
		.venv-packaging/bin/python -m ziglang cc $(NATIVE_FLAGS) -isystem "$(PYTHON_H)" -c -o build/clang.o "$$source" || exit 1; done

types: ready ## mypy --strict
	$(BIN)/mypy

contracts: ready ## Who may import whom
	$(BIN)/lint-imports

unit: ready ## tests/unit
	$(BIN)/python -m pytest tests/unit

property: ready ## tests/property
	$(BIN)/python -m pytest tests/property

# Most of these tests wait most of the time; but only root can give each of them semaphores of its own.
SIDE_BY_SIDE := $(if $(AS_ROOT),-n 3 --dist loadfile)
# What failed is remembered apart from what other tests, which may run meanwhile, remember.
INTEGRATION := $(BIN)/python -m pytest tests/integration -o cache_dir=.pytest_cache/integration
# Side by side they also keep each other from the processor, and many state what happens in time. So what fails there is
# tried once more, alone, and that counts; a fault of the product fails again, and what failed first stays in the output.
integration: ready ## tests/integration: real Valkey, real processes
	$(INTEGRATION) $(SIDE_BY_SIDE) || { test $$? = 1 && \
		echo "make: what failed side by side is tried again, alone" && \
		$(INTEGRATION) --last-failed --last-failed-no-failures=none; }

e2e: ready ## tests/e2e: packages on whole hosts with a real systemd; as root
	@tests/e2e/prepare
	@if tests/e2e/hosts check; then tests/e2e/build; fi
	$(BIN)/python -m pytest tests/e2e

bench: ready ## Measure against the goals, and write docs/performance.md with its plots (more than an hour)
	@$(BIN)/python -c 'import matplotlib' 2>/dev/null || $(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m bench --write docs/performance.md

scale: ready ## Measure events, 1,500 workers and 2,000 quiet segments on this machine, and write docs/scale.md
	$(BIN)/python -m bench events scale quiet --write docs/scale.md

faults: ready ## Inject every fault, time how it heals, and write docs/faults.md
	$(BIN)/python -m tests.faults --write docs/faults.md

situations: ready ## Play what operators meet on two hosts, and write docs/operators.md
	$(BIN)/python -m tests.situations --write docs/operators.md

MINUTES ?= 30
soak: ready ## Inject faults at random for MINUTES=30 minutes, and check every frame
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

build: ready ## sdist and wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist

# Of another version than the sources' own, and packed quickly rather than small: for tests.
PACKAGES = .venv-packaging/bin/python packaging/builder --compression $(COMPRESSION) $(if $(VERSION),--version $(VERSION))
COMPRESSION ?= small

deb: ## The package for Debian and Ubuntu, into dist/ (packaging/README.md; VERSION=, COMPRESSION=fast)
	@packaging/prepare-tools
	@$(PACKAGES) deb

rpm: ## The package for Rocky Linux, AlmaLinux and the like, into dist/ (VERSION=, COMPRESSION=fast)
	@packaging/prepare-tools rpmbuild=rpm
	@$(PACKAGES) rpm

# lintian and rpmlint judge what they are released with; what they find and is meant is named where they look for it.
packages-check: ## lintian, rpmlint and shellcheck on the packages in dist/ and their scripts
	@packaging/prepare-tools rpmbuild=rpm lintian=lintian rpmlint=rpmlint shellcheck=shellcheck
	@packaging/check $(COMPRESSION) $(VERSION)

packages-test: ready ## tests/packages: what is in the packages, and that it runs on each Python of this machine
	@packaging/prepare-tools rpmbuild=rpm
	@test -n "$$(ls dist/daosup_*.deb 2>/dev/null)" -a -n "$$(ls dist/daosup-*.rpm 2>/dev/null)" || \
		$(MAKE) deb rpm COMPRESSION=fast
	$(BIN)/python -m pytest tests/packages

packages-lock: ## Choose anew which versions of the libraries go into the packages
	@packaging/prepare-tools
	@$(PACKAGES) lock

clean: ## Remove everything that was made, .venv too
	rm -rf .venv .venv-packaging build dist daosup.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find daosup tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f daosup/shm/*.so
