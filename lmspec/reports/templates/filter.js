const flips = document.getElementById("flips");
const field = document.getElementById("filter");
const count = document.getElementById("count");
const examples = [...flips.querySelectorAll(".example")];
field.closest(".filter").hidden = false;
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/);
  const matches = examples.filter((example) => {
    const text = example.textContent.toLowerCase();
    example.hidden = !words.every((word) => text.includes(word));
    return !example.hidden;
  });
  for (const fold of flips.querySelectorAll("details.more")) {
    fold.open = field.value !== "" && matches.some((example) => fold.contains(example));
  }
  count.textContent = `${matches.length} of ${examples.length}`;
});
