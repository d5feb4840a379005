// Work of the script alone, for as long as the run lasts: how far it goes on more workers.
export const options = {
  scenarios: { compute: { executor: "constant-vus", vus: 20, duration: "5s" } },
}

export default function () {
  let sum = 0
  for (let i = 0; i < 2000; i++) sum = (sum * 31 + i) | 0
  return sum
}
