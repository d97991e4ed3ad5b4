"""One small file per language, each with every kind of node that its grammar knows."""

from __future__ import annotations

SAMPLES = {
    "Python": (
        "a.py",
        '''\
"""What this module is."""
import os

# A comment of its own.
class Area:
    """What a class is."""

    def of(self, width, height):
        if width > 0:
            area = width * height
            print(area, width)
        return self.scale(area)
''',
    ),
    "JavaScript": (
        "a.js",
        """\
/** What a function is. */
function area(width, height) {
  // why it is so
  if (width > 0) {
    const size = width * height;
    console.log(size, width);
  }
  return scale(size);
}
class Shape {
  draw(pen) {
    return pen.line(this.width);
  }
}
""",
    ),
    "TypeScript": (
        "a.ts",
        """\
/** What a function is. */
export function area(width: number): number {
  // why it is so
  const size: number = width * 2;
  return scale(size, width);
}
interface Shape {
  width: number;
}
""",
    ),
    "TSX": (
        "a.tsx",
        """\
/** What it shows. */
export function Area(props: Props) {
  // why it is so
  const size = props.width * 2;
  return <div>{scale(size, props)}</div>;
}
class Shape {
  width = 1;
}
""",
    ),
    "Java": (
        "A.java",
        """\
package a;
/** What a class is. */
class Area {
  int of(int width, int height) {
    // why it is so
    if (width > 0) {
      int size = width * height;
      print(size, width);
    }
    return scale(size);
  }
}
""",
    ),
    "Kotlin": (
        "A.kt",
        """\
package a
/** What a class is. */
class Area {
  fun of(width: Int, height: Int): Int {
    // why it is so
    val size = width * height
    print(size, width)
    return scale(size)
  }
}
""",
    ),
    "Go": (
        "a.go",
        """\
package a

// Area is what it is.
type Area struct {
	Width int
}

func (a Area) Of(height int) int {
	if height > 0 {
		size := a.Width * height
		fmt.Println(size, height)
	}
	return scale(a.Width)
}
""",
    ),
    "Rust": (
        "a.rs",
        """\
/// What an area is.
pub struct Area {
    width: u32,
}

impl Area {
    // why it is so
    fn of(&self, height: u32) -> u32 {
        let size = self.width * height;
        log(size, height);
        scale(size)
    }
}
""",
    ),
    "C": (
        "a.c",
        """\
/** What an area is. */
struct area {
  int width;
};

int area_of(int width, int height) {
  // why it is so
  int size = width * height;
  printf("%d", size);
  return scale(size, width);
}
""",
    ),
    "C++": (
        "a.cpp",
        """\
/// What an area is.
class Area {
 public:
  int of(int width, int height) {
    // why it is so
    int size = width * height;
    log(size, width);
    return scale(size);
  }
};
""",
    ),
    "C#": (
        "A.cs",
        """\
/// What an area is.
class Area {
  int Of(int width, int height) {
    // why it is so
    var size = width * height;
    Log(size, width);
    return Scale(size);
  }
}
""",
    ),
    "PHP": (
        "a.php",
        """\
<?php
/** What an area is. */
class Area {
  function of($width, $height) {
    // why it is so
    $size = $width * $height;
    log($size, $width);
    return scale($size);
  }
}
""",
    ),
    "Ruby": (
        "a.rb",
        """\
# What an area is.
class Area
  def of(width, height)
    size = width * height
    puts(size, width)
    scale(size)
  end
end
""",
    ),
    "Scala": (
        "a.scala",
        """\
/** What an area is. */
class Area {
  // why it is so
  def of(width: Int, height: Int): Int = {
    val size = width * height
    print(size, width)
    scale(size)
  }
}
""",
    ),
    "Shell": (
        "a.sh",
        """\
# What it does.
area() {
  local size="$(expr $1 \\* $2)"
  for x in a b; do
    echo "$x" "$size"
  done
}
area 2 3
""",
    ),
    "SQL": (
        "a.sql",
        """\
-- What it is for.
CREATE TABLE area (width INT, height INT);
SELECT width * height, name FROM area WHERE width > 0 ORDER BY name;
""",
    ),
}

# What a sample can't have, as its language or grammar knows no such thing.
ABSENT = {
    "Shell": {"class_body", "docstring"},
    "SQL": {"class_body", "docstring", "function_body"},
}
