# Writes OUT, a C file with the contents of SOURCES as arrays. HEADER declares TABLE, an array of
# {name, path, text, length}, ended by zeros; names and paths are in NAMES and FILES, at the same
# place.
set(text "#include \"${HEADER}\"\n\n")
set(table "")
set(index 0)
foreach(name file source IN ZIP_LISTS NAMES FILES SOURCES)
  file(READ ${source} hex HEX)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
  string(APPEND text "static const char file_${index}[] = {${bytes}0};\n")
  string(APPEND table "  {\"${name}\", \"${file}\", file_${index}, sizeof(file_${index}) - 1},\n")
  math(EXPR index "${index} + 1")
endforeach()
string(APPEND text "\n${TABLE}[] = {\n${table}  {0, 0, 0, 0},\n};\n")
file(WRITE ${OUT} "${text}")
