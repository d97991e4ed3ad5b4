# ruff: noqa: E501 - a file a line reads better than files in pieces
"""Small repositories in the shape of real ones, one per language, each with the edges that a person reads out of it.

`EDGES[name]` holds (importer, imported) for every import that points inside the repository; imports of the standard
library and of other packages point nowhere.
"""

from __future__ import annotations

REPOSITORIES: dict[str, dict[str, str]] = {
    "python": {
        "setup.py": "from setuptools import setup\nsetup()\n",
        "src/shop/__init__.py": "from .cart import Cart\nfrom . import prices\n",
        "src/shop/cart.py": (
            "import json\nimport typing as t\nfrom .prices import total, tax\nfrom shop.models.item import Item\n"
            "import shop.models\n"
        ),
        "src/shop/prices.py": 'import decimal\n"""\nimport shop.nothing\n"""\n# from shop import cart\n',
        "src/shop/models/__init__.py": "from shop.models.item import *\n",
        "src/shop/models/item.py": "from ..errors import BadItem\nfrom ... import outside\n",
        "src/shop/errors.py": "class BadItem(Exception): ...\n",
        "src/shop/types.py": "import types\n",
        "tests/helpers.py": "from shop.cart import Cart\n",
        "tests/test_cart.py": "import helpers\nfrom shop import cart, prices\n\ndef test():\n    import shop.errors as e\n",
        "scripts/json.py": "import os\n",
        "scripts/run.py": "import json\nimport shop\n",
    },
    "javascript": {
        "package.json": '{"name": "app", "main": "lib/index.js"}',
        "lib/index.js": "const cart = require('./cart');\nmodule.exports = require('./util');\nconst fs = require('fs');\n",
        "lib/cart.js": "import { total } from './prices.js';\nexport * from './util/format';\nimport('./lazy');\n",
        "lib/prices.js": "// require('./cart')\nconst s = \"import x from './cart'\";\n",
        "lib/lazy.mjs": "import React from 'react';\n",
        "lib/util/index.js": "export { format } from './format';\n",
        "lib/util/format.js": "",
        "test/cart.test.js": "import cart from '../lib/cart';\nimport app from 'app';\nimport x from '../../outside';\n",
    },
    "typescript": {
        "tsconfig.json": '{\n  // paths of the project\n  "compilerOptions": {"baseUrl": ".", "paths": {"@/*": ["src/*"],}}\n}',
        "packages/ui/package.json": '{"name": "@shop/ui"}',
        "packages/ui/src/index.ts": "export * from './button';\n",
        "packages/ui/src/button.tsx": "import type { Theme } from '@/theme';\n",
        "src/theme.ts": "export interface Theme {}\n",
        "src/app.ts": (
            "import { Button } from '@shop/ui';\nimport * as api from 'src/api';\nimport { T } from './types.js';\n"
            "import old = require('./old');\n"
        ),
        "src/api/index.ts": "import { Theme } from '../theme';\nimport express from 'express';\n",
        "src/types.d.ts": "",
        "src/old.js": "",
    },
    "java": {
        "src/main/java/com/shop/Cart.java": (
            "package com.shop;\nimport java.util.List;\nimport com.shop.model.Item;\nimport static com.shop.util.Money.round;\n"
            "public class Cart {}\n"
        ),
        "src/main/java/com/shop/model/Item.java": (
            "package com.shop.model;\nimport com.shop.util.*;\npublic class Item { Money price; }\n"
        ),
        "src/main/java/com/shop/model/Outer.java": "package com.shop.model;\nclass Outer { static class Inner {} }\n",
        "src/main/java/com/shop/util/Money.java": "package com.shop.util;\npublic class Money {}\n",
        "src/main/java/com/shop/util/Unused.java": "package com.shop.util;\npublic class Unused {}\n",
        "src/test/java/com/shop/CartTest.java": (
            "package com.shop;\nimport org.junit.Test;\nimport com.shop.model.Outer.Inner;\nimport com.shop.Cart;\n"
            "/* import com.shop.util.Unused; */\nclass CartTest {}\n"
        ),
    },
    "kotlin": {
        "app/src/main/kotlin/shop/Cart.kt": (
            "package shop\n\nimport shop.model.Item as Thing\nimport shop.util.format\nimport kotlin.math.max\n\nclass Cart\n"
        ),
        "app/src/main/kotlin/shop/model/Item.kt": "package shop.model\n\nimport shop.util.*\n\ndata class Item(val p: Price)\n",
        "app/src/main/kotlin/shop/util/Formatting.kt": "package shop.util\n\nfun format(x: Int) = x.toString()\n",
        "app/src/main/kotlin/shop/util/Price.kt": "package shop.util\n\nclass Price\n",
        "app/src/test/kotlin/shop/CartTest.kt": "package shop\n\nimport shop.Cart\n\nclass CartTest\n",
    },
    "go": {
        "go.mod": "module example.com/org/shop\n\ngo 1.21\n",
        "main.go": 'package main\n\nimport (\n\t"fmt"\n\n\t"example.com/org/shop/cart"\n\tm "example.com/org/shop/internal/money"\n)\n',
        "cart/cart.go": 'package cart\n\nimport "example.com/org/shop/internal/money"\n',
        "cart/items.go": "package cart\n",
        "cart/cart_test.go": 'package cart_test\n\nimport (\n\t"testing"\n\t"example.com/org/shop/cart"\n)\n',
        "internal/money/money.go": 'package money\n\nimport "example.com/other/cart"\n',
        "tools/go.mod": "module example.com/org/shop/tools\n",
        "tools/gen/gen.go": 'package gen\n\n// import "example.com/org/shop/cart"\nimport _ "example.com/org/shop/tools/lint"\n',
        "tools/lint/lint.go": "package lint\n",
    },
    "rust": {
        "Cargo.toml": '[workspace]\nmembers = ["core", "cli"]\n',
        "core/Cargo.toml": '[package]\nname = "shop-core"\nversion = "0.1.0"\n',
        "core/src/lib.rs": "pub mod cart;\nmod money;\nmod inline { pub fn f() {} }\nuse std::fmt;\n",
        "core/src/cart/mod.rs": "mod item;\nuse crate::money::{self, Money};\npub use self::item::Item;\n",
        "core/src/cart/item.rs": "use super::super::money::Money;\nuse super::Cart;\n",
        "core/src/money.rs": '#[path = "rounding_impl.rs"]\nmod rounding;\nuse serde::Serialize;\n',
        "core/src/rounding_impl.rs": "",
        "cli/Cargo.toml": '[package]\nname = "shop-cli"\n',
        "cli/src/main.rs": "mod args;\nuse args::Args;\nuse shop_core::cart::Item;\nuse shop_core::VERSION;\n",
        "cli/src/args.rs": "// use crate::missing;\n",
    },
    "c": {
        "include/shop/cart.h": "#include <stddef.h>\n#include <shop/money.h>\n",
        "include/shop/money.h": "",
        "src/cart.c": '#include "shop/cart.h"\n#include "internal.h"\n#include <string.h>\n',
        "src/internal.h": "",
        "src/string.h": "",
        "tests/internal.h": "",
        "tests/test_cart.c": '#include "internal.h"\n#include "../src/internal.h"\n/* #include "money.h" */\n',
    },
    "cpp": {
        "shop/cart.hpp": '#pragma once\n#include <vector>\n#include "shop/item.hpp"\n',
        "shop/item.hpp": '#ifdef X\n#include "detail/id.hpp"\n#endif\n',
        "shop/detail/id.hpp": "",
        "shop/cart.cpp": '#include "cart.hpp"\n',
        "test/cart_test.cpp": '#include <shop/cart.hpp>\n#include "gtest/gtest.h"\n',
    },
    "csharp": {
        "Shop/Cart.cs": "using System;\nusing Shop.Models;\nusing M = Shop.Util.Money;\n\nnamespace Shop;\n\nclass Cart { Item item; }\n",
        "Shop/Models/Item.cs": "namespace Shop.Models\n{\n    public class Item { }\n}\n",
        "Shop/Models/Unused.cs": "namespace Shop.Models { class Unused { } }\n",
        "Shop/Util/Money.cs": "using static Shop.Util.Rounding;\nnamespace Shop.Util { struct Money { } }\n",
        "Shop/Util/Rounding.cs": "namespace Shop.Util { static class Rounding { } }\n",
        "Shop.Tests/CartTests.cs": "using Xunit;\nusing Shop;\nnamespace Shop.Tests { class CartTests { Cart cart; } }\n",
    },
    "php": {
        "src/Cart.php": (
            "<?php\nnamespace Shop;\nuse Shop\\Models\\Item;\nuse Shop\\Util\\{Money, Rounding as R};\nuse DateTime;\nclass Cart {}\n"
        ),
        "src/Models/Item.php": "<?php\nnamespace Shop\\Models;\nuse function Shop\\Util\\format;\nclass Item {}\n",
        "src/Util/Money.php": "<?php\nnamespace Shop\\Util;\nclass Money {}\n",
        "src/Util/Rounding.php": "<?php\nnamespace Shop\\Util;\ntrait Rounding {}\n",
        "src/Util/functions.php": "<?php\nnamespace Shop\\Util;\nfunction format($x) { return $x; }\n",
        "public/index.php": "<?php\nrequire_once __DIR__ . '/../src/Cart.php';\ninclude 'header.php';\n",
        "public/header.php": "<?php // use Shop\\Cart;\n",
    },
    "ruby": {
        "lib/shop.rb": "require 'json'\nrequire 'shop/cart'\nrequire_relative 'shop/version'\n",
        "lib/shop/cart.rb": "module Shop\n  autoload :Item, 'shop/item'\nend\n# require 'shop/version'\n",
        "lib/shop/item.rb": "",
        "lib/shop/version.rb": "",
        "spec/json.rb": "",
        "spec/spec_helper.rb": "require 'shop'\n",
        "spec/shop/cart_spec.rb": "require_relative '../spec_helper'\nrequire 'shop/cart'\nputs 'require \"shop/item\"'\n",
    },
}

_JAVA, _JAVA_TEST = "src/main/java/com/shop", "src/test/java/com/shop"
_KOTLIN, _KOTLIN_TEST = "app/src/main/kotlin/shop", "app/src/test/kotlin/shop"

EDGES: dict[str, set[tuple[str, str]]] = {
    "python": {
        ("src/shop/__init__.py", "src/shop/cart.py"),
        ("src/shop/__init__.py", "src/shop/prices.py"),
        ("src/shop/cart.py", "src/shop/prices.py"),
        ("src/shop/cart.py", "src/shop/models/item.py"),
        ("src/shop/cart.py", "src/shop/models/__init__.py"),
        ("src/shop/models/__init__.py", "src/shop/models/item.py"),
        ("src/shop/models/item.py", "src/shop/errors.py"),
        ("tests/helpers.py", "src/shop/cart.py"),
        ("tests/test_cart.py", "tests/helpers.py"),
        ("tests/test_cart.py", "src/shop/cart.py"),
        ("tests/test_cart.py", "src/shop/prices.py"),
        ("tests/test_cart.py", "src/shop/errors.py"),
        ("scripts/run.py", "scripts/json.py"),
        ("scripts/run.py", "src/shop/__init__.py"),
    },
    "javascript": {
        ("lib/index.js", "lib/cart.js"),
        ("lib/index.js", "lib/util/index.js"),
        ("lib/cart.js", "lib/prices.js"),
        ("lib/cart.js", "lib/util/format.js"),
        ("lib/cart.js", "lib/lazy.mjs"),
        ("lib/util/index.js", "lib/util/format.js"),
        ("test/cart.test.js", "lib/cart.js"),
        ("test/cart.test.js", "lib/index.js"),
    },
    "typescript": {
        ("packages/ui/src/index.ts", "packages/ui/src/button.tsx"),
        ("packages/ui/src/button.tsx", "src/theme.ts"),
        ("src/app.ts", "packages/ui/src/index.ts"),
        ("src/app.ts", "src/api/index.ts"),
        ("src/app.ts", "src/types.d.ts"),
        ("src/app.ts", "src/old.js"),
        ("src/api/index.ts", "src/theme.ts"),
    },
    "java": {
        (f"{_JAVA}/Cart.java", f"{_JAVA}/model/Item.java"),
        (f"{_JAVA}/Cart.java", f"{_JAVA}/util/Money.java"),
        (f"{_JAVA}/model/Item.java", f"{_JAVA}/util/Money.java"),
        (f"{_JAVA_TEST}/CartTest.java", f"{_JAVA}/model/Outer.java"),
        (f"{_JAVA_TEST}/CartTest.java", f"{_JAVA}/Cart.java"),
    },
    "kotlin": {
        (f"{_KOTLIN}/Cart.kt", f"{_KOTLIN}/model/Item.kt"),
        (f"{_KOTLIN}/Cart.kt", f"{_KOTLIN}/util/Formatting.kt"),
        (f"{_KOTLIN}/model/Item.kt", f"{_KOTLIN}/util/Price.kt"),
        (f"{_KOTLIN_TEST}/CartTest.kt", f"{_KOTLIN}/Cart.kt"),
    },
    "go": {
        ("main.go", "cart/cart.go"),
        ("main.go", "cart/items.go"),
        ("main.go", "internal/money/money.go"),
        ("cart/cart.go", "internal/money/money.go"),
        ("cart/cart_test.go", "cart/cart.go"),
        ("cart/cart_test.go", "cart/items.go"),
        ("tools/gen/gen.go", "tools/lint/lint.go"),
    },
    "rust": {
        ("core/src/lib.rs", "core/src/cart/mod.rs"),
        ("core/src/lib.rs", "core/src/money.rs"),
        ("core/src/cart/mod.rs", "core/src/cart/item.rs"),
        ("core/src/cart/mod.rs", "core/src/money.rs"),
        ("core/src/cart/item.rs", "core/src/money.rs"),
        ("core/src/cart/item.rs", "core/src/cart/mod.rs"),
        ("core/src/money.rs", "core/src/rounding_impl.rs"),
        ("cli/src/main.rs", "cli/src/args.rs"),
        ("cli/src/main.rs", "core/src/cart/mod.rs"),
        ("cli/src/main.rs", "core/src/lib.rs"),
    },
    "c": {
        ("include/shop/cart.h", "include/shop/money.h"),
        ("src/cart.c", "include/shop/cart.h"),
        ("src/cart.c", "src/internal.h"),
        ("tests/test_cart.c", "tests/internal.h"),
        ("tests/test_cart.c", "src/internal.h"),
    },
    "cpp": {
        ("shop/cart.hpp", "shop/item.hpp"),
        ("shop/item.hpp", "shop/detail/id.hpp"),
        ("shop/cart.cpp", "shop/cart.hpp"),
        ("test/cart_test.cpp", "shop/cart.hpp"),
    },
    "csharp": {
        ("Shop/Cart.cs", "Shop/Models/Item.cs"),
        ("Shop/Cart.cs", "Shop/Util/Money.cs"),
        ("Shop/Util/Money.cs", "Shop/Util/Rounding.cs"),
        ("Shop.Tests/CartTests.cs", "Shop/Cart.cs"),
    },
    "php": {
        ("src/Cart.php", "src/Models/Item.php"),
        ("src/Cart.php", "src/Util/Money.php"),
        ("src/Cart.php", "src/Util/Rounding.php"),
        ("src/Models/Item.php", "src/Util/functions.php"),
        ("public/index.php", "src/Cart.php"),
        ("public/index.php", "public/header.php"),
    },
    "ruby": {
        ("lib/shop.rb", "lib/shop/cart.rb"),
        ("lib/shop.rb", "lib/shop/version.rb"),
        ("lib/shop/cart.rb", "lib/shop/item.rb"),
        ("spec/spec_helper.rb", "lib/shop.rb"),
        ("spec/shop/cart_spec.rb", "spec/spec_helper.rb"),
        ("spec/shop/cart_spec.rb", "lib/shop/cart.rb"),
    },
}
