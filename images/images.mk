# Builds the images, and the tools for it that the host lacks. Included by the Makefile.

# ---------------------------------------------------------------- tools
# Docker's plugins if installed, else Debian's, which also run as standalone programs.
COMPOSE := .tools/bin/docker-compose
BUILDX  := .tools/bin/docker-buildx
.tools/bin/docker-%: images/closed-network/debian-binary
	@command -v docker >/dev/null || { echo 'no Docker here: install Docker Engine 20.10 or later'; exit 1; }
	@mkdir -p $(@D)
	@if docker $* version >/dev/null 2>&1; then printf '#!/bin/sh\nexec docker $* "$$@"\n' >$@ && chmod 755 $@; \
	  else images/closed-network/debian-binary docker-$* usr/libexec/docker/cli-plugins/docker-$* $@; fi

# Compiles a Go package once per version on this machine. Each clone copies the binary.
COMPILED := $${XDG_CACHE_HOME:-$$HOME/.cache}/foundry
define go_tool
@kept="$(COMPILED)/$(@F)-$$(cat $<)"; \
test -x "$$kept" || { \
  command -v go >/dev/null || { echo '$(@F) is compiled: install Go 1.26 or later'; exit 1; }; \
  echo "compiling $(@F) $$(cat $<), once on this machine: $(2) on two cores"; \
  mkdir -p "$(COMPILED)"; \
  made="$$(mktemp -d "$(COMPILED)/XXXXXX")"; trap 'rm -rf "$$made"' EXIT; \
  CGO_ENABLED=0 GOBIN="$$made" go install -trimpath -ldflags '-s -w' "$(1)@$$(cat $<)" 2>"$$made/log" \
    || { cat "$$made/log"; exit 1; }; \
  mv "$$made/$(@F)" "$$kept"; \
}; \
mkdir -p $(@D); cp "$$kept" "$@.$$$$"; mv "$@.$$$$" $@
endef

# The S3 server of the stack. Earlier versions have no atomic conditional puts: two writers could win.
.tools/bin/versitygw: images/s3/version
	$(call go_tool,github.com/versity/versitygw/cmd/versitygw,some two minutes)

# ---------------------------------------------------------------- images
comma       := ,
IMAGES      := stage-cpu airflow mlflow docker-proxy reports s3
CLOSED_BASE := foundry/base:trixie
# BASE (any image of Debian trixie), DEBIAN_MIRROR, DEBIAN_SECURITY_MIRROR, PACKAGE_INDEX, and EXTRA_CA_BUNDLE: a file of
# certificates to trust during the build, which no layer keeps. Default: SSL_CERT_FILE.
BUILD_TAKES := DEBIAN_MIRROR DEBIAN_SECURITY_MIRROR PACKAGE_INDEX EXTRA_CA_BUNDLE IMAGE_SOURCE
$(foreach command,images image-cuda $(addprefix image-,$(IMAGES) stage-cuda postgres),$(eval TAKES.$(command) := BASE $(BUILD_TAKES)))
TAKES.closed-network-images := $(BUILD_TAKES)
TAKES.closed-network-image-cuda := $(BUILD_TAKES)
TAKES.closed-network-base := DEBIAN_MIRROR DEBIAN_SECURITY_MIRROR

REVISION = $(shell git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null || echo unknown)
VERSION  = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# A build argument without a value takes it from the environment. --secret is CSV, so a path with commas is quoted.
BUILD    = EXTRA_CA_BUNDLE="$${EXTRA_CA_BUNDLE:-$${SSL_CERT_FILE-}}"; ca=$(call path,EXTRA_CA_BUNDLE); \
  source="$${IMAGE_SOURCE:-$$(git config --get remote.origin.url | sed -n 's,^https://\([^@/]*@\)\?,https://,p' || :)}"; \
  $(BUILDX) build --quiet --tag foundry/$* \
  $(foreach name,BASE DEBIAN_MIRROR DEBIAN_SECURITY_MIRROR PACKAGE_INDEX,$${$(name):+--build-arg $(name)}) \
  $${ca:+--secret "id=ca$(comma)\"src=$${ca//\"/\"\"}\""} \
  $(foreach label,title=foundry-$* version=$(VERSION) revision=$(REVISION) licenses=Apache-2.0,\
    --label org.opencontainers.image.$(label)) --label "org.opencontainers.image.source=$${source:-unknown}"

.PHONY: images image-cuda closed-network-images closed-network-image-cuda closed-network-base sbom $(addprefix image-,$(IMAGES) stage-cuda postgres)
images: $(addprefix image-,$(IMAGES))  ## Build all images but the CUDA image, and print their sizes
	@images/built $(IMAGES)
image-cuda: image-stage-cuda  ## Build the image of the deep models: 8 GB, for GPUs and CPUs
	@images/built --add stage-cuda
closed-network-images: closed-network-base  ## Build all images without a registry, from packages of Debian, PyPI and Go
	@$(MAKE) --no-print-directory BASE=$(CLOSED_BASE) $(addprefix image-,$(IMAGES) postgres)
	@images/built $(IMAGES) postgres
closed-network-image-cuda: closed-network-base
	@$(MAKE) --no-print-directory BASE=$(CLOSED_BASE) image-cuda
closed-network-base:
	@docker image inspect $(CLOSED_BASE) >/dev/null 2>&1 || images/closed-network/base $(CLOSED_BASE) >/dev/null

image-s3: .tools/bin/versitygw
$(addprefix image-,$(IMAGES) stage-cuda): image-%: | $(BUILDX)
	@echo "building foundry/$*"
	@$(BUILD) --file images/Dockerfile --target $(if $(filter stage-%,$*),stage --build-arg GROUP=$(*:stage-%=%),$*) . >/dev/null
image-postgres: image-%: | $(BUILDX)
	@echo "building foundry/$*, in the place of the official image"
	@$(BUILD) --file images/closed-network/$*/Dockerfile . >/dev/null

sbom: .venv/dev.stamp  ## Write the contents of each image as CycloneDX JSON into .foundry/sbom/
	@$(BIN)/python images/sbom.py
