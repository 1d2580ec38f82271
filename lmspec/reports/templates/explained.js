const texts = [...document.querySelectorAll("#texts .example")];
const fields = [...document.querySelectorAll(".filter select, .filter input")];
const count = document.getElementById("count");
const filter = () => {
  const [words, ...chosen] = fields;
  const wanted = words.value.toLowerCase().split(/\s+/);
  const matches = texts.filter((text) => {
    const content = text.textContent.toLowerCase();
    text.hidden = !(
      wanted.every((word) => content.includes(word)) &&
      chosen.every((field) => field.value === "" || field.value === text.dataset[field.name])
    );
    return !text.hidden;
  });
  const asked = fields.some((field) => field.value !== "");
  for (const fold of document.querySelectorAll("#texts details")) {
    fold.open = asked && matches.some((text) => fold.contains(text));
  }
  count.textContent = `${matches.length} of ${texts.length}`;
};
document.querySelector(".filter").hidden = false;
for (const field of fields) field.addEventListener("input", filter);
