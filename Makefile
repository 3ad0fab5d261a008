# Targets for people; `make help` lists them. The only needs are Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run test test-long quality quality-table bench bench-startup bench-quotations bench-corruptions bench-embedding bench-load bench-index bench-unit-costs screenshots clean

help: ## 列出全部命令
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

# A stamp per kind of install: nothing is done while the lock files and pyproject.toml stand.
$(VENV)/.run: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(PIP) install --quiet -r requirements-dev.lock
	@touch $@

run: $(VENV)/.run ## 安装、建库（首次）并打开问答网页 http://127.0.0.1:7860
	$(BIN)/python app.py serve

test: $(VENV)/.dev ## 代码检查、类型检查和全部测试
	scripts/check $(BIN)

test-long: $(VENV)/.dev ## 只在这里跑的长测试：把建库进程杀死 300 次等，约十分钟
	$(BIN)/python -m pytest -m long

quality: $(VENV)/.run ## 在公开测试集上评测回答质量
	$(BIN)/python app.py build corpus/articles --index data/seeds
	$(BIN)/python app.py eval eval/sets/zimao_open.jsonl --index data/seeds

quality-table: $(VENV)/.run ## 量全部质量数字并写进 README：make quality-table MRC="a.json.gz …" NEWS=一行一篇.txt.gz PEERS=别家的python
	$(BIN)/python -m benchmarks.quality $(if $(MRC),--mrc $(MRC)) $(if $(NEWS),--news $(NEWS) --distractors) $(if $(PEERS),--peers $(PEERS))

bench: $(VENV)/.dev ## 速度和内存，与 LangChain、txtai 并列，写成 docs/benchmarks.md：make bench NEWS=一行一篇.txt.gz PEERS=别家的python
	$(BIN)/python -m benchmarks.run $(if $(NEWS),--news $(NEWS)) $(if $(PEERS),--peers $(PEERS)) $(ARGS)

bench-startup: $(VENV)/.run ## 终端提问的用时和内存，与 import sentence_transformers 相比
	$(BIN)/python -m benchmarks.startup

bench-quotations: $(VENV)/.run ## 随机新闻句的引文是否逐字一致：make bench-quotations NEWS=一行一篇.txt.gz
	$(BIN)/python -m benchmarks.quotations $(NEWS)

bench-corruptions: $(VENV)/.run ## 改错一处的回答有多少被核对拦下：make bench-corruptions NEWS=一行一篇.txt.gz
	$(BIN)/python -m benchmarks.corruptions $(NEWS)

bench-load: $(VENV)/.dev ## 50 人同时提问 60 秒：丢失、用时、内存
	$(BIN)/python -m benchmarks.load

bench-embedding: $(VENV)/.dev ## 批量向量化与 sentence-transformers 相比：make bench-embedding NEWS=一行一篇.txt.gz
	$(BIN)/python -m benchmarks.embedding --chunks $(NEWS)

bench-index: $(VENV)/.run ## 各种 FAISS 索引在真实向量上的召回、用时和内存：make bench-index INDEX=索引文件夹
	$(BIN)/python -m benchmarks.vector_index $(INDEX) $(if $(SETS),--sets $(SETS)) $(ARGS)

bench-unit-costs: $(VENV)/.run ## 每多一篇、一段、一问要多少：make bench-unit-costs INDEX=索引文件夹
	$(BIN)/python -m benchmarks.unit_costs --index $(INDEX) $(ARGS)

screenshots: $(VENV)/.dev ## 重新拍 docs/pictures 里的图
	$(BIN)/python scripts/screenshots.py

clean: ## 删除虚拟环境、索引和缓存
	rm -rf $(VENV) data build *.egg-info .mypy_cache .pytest_cache .ruff_cache
