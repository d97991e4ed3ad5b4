"""The ten functions in the words that C++, C# and Java share."""

from __future__ import annotations

from typing import Final

BODIES: Final = {
    "sum": "  int s = 0;\n  for (int i = 1; i <= n; i++) s += i;\n  return s;",
    "factorial": "  int p = 1;\n  for (int i = 2; i <= n; i++) p *= i;\n  return p;",
    "fibonacci": "  int a = 0, b = 1;\n  while (n-- > 0) { int c = a + b; a = b; b = c; }\n  return a;",
    "divisor": "  int m = 36;\n  while (m != 0) { int r = n % m; n = m; m = r; }\n  return n;",
    "digits": "  int s = 0;\n  while (n > 0) { s += n % 10; n /= 10; }\n  return s;",
    "prime": "  for (int d = 2; d * d <= n; d++) if (n % d == 0) return 0;\n  return n > 1 ? 1 : 0;",
    "steps": "  int s = 0;\n  while (n != 1) { n = n % 2 == 0 ? n / 2 : 3 * n + 1; s++; }\n  return s;",
    "divisors": "  int s = 0;\n  for (int d = 1; d <= n; d++) if (n % d == 0) s++;\n  return s;",
    "power": "  int p = 1;\n  for (int i = 0; i < n; i++) p = p * 3 % 1000;\n  return p;",
    "reversed": "  int r = 0;\n  while (n > 0) { r = 10 * r + n % 10; n /= 10; }\n  return r;",
}
